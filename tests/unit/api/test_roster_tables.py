"""Rosters as courses' platforms and spreadsheets write them."""

import codecs
from textwrap import dedent

import pytest

from api.http.problems import InvalidRequest
from api.roster import decoding as roster_files
from api.roster import tables as roster_tables

Found = list[tuple[str, str, str | None]]
ADA = ("Ada Lovelace", "ada@example.org", None)
ADA_IN_A = ("Ada Lovelace", "ada@example.org", "A")
BO = ("Bo", "bo@example.org", None)
EXPORTS: dict[str, tuple[str, Found]] = {
    "canvas": (
        """\
        Student,ID,SIS User ID,SIS Login ID,Section,HW1 (123),Final Score
        ,,,,,Manual Posting,
            Points Possible,,,,,10,(read only)
        "Lovelace, Ada",1001,u1,ada@example.org,A,9,90
        "Bo, Di, Jr.",1002,u2,di@example.org,A and B,,
        "Student, Test",,,0a1b2c,A,,
        """,
        [ADA_IN_A, ("Di Bo, Jr.", "di@example.org", "A and B")],
    ),
    "moodle": (
        """\
        "First name","Last name","ID number",Institution,Department,"Email address","Last downloaded from this course"
        Ada,Lovelace,7,Uni,EE,ada@example.org,1700000000
        """,
        [ADA],
    ),
    "older moodle": ("First name,Surname,Email address\nAda,Lovelace,ada@example.org\n", [ADA]),
    "gradescope": (
        """\
        First Name,Last Name,SID,Email,Role,Sections
        Ada,Lovelace,7,ada@example.org,Student,A
        Ina,Teach,8,ina@example.org,Instructor,
        """,
        [ADA_IN_A],
    ),
    "github classroom": (
        """\
        "identifier","github_username","github_id","name"
        "ada@example.org","countess","42","Ada Lovelace"
        "bo@example.org","bo-b","43",""
        """,
        [ADA, ("bo-b", "bo@example.org", None)],
    ),
    "german moodle": ("Vorname;Nachname;E-Mail-Adresse;Gruppen\nAda;Lovelace;ada@example.org;\n", [ADA]),
    "german list": ("Name;Vorname;E-Mail\nLovelace;Ada;ada@example.org\n", [ADA]),
    "french moodle": ("Prénom,Nom,Adresse de courriel\nAda,Lovelace,ada@example.org\n", [ADA]),
    "decomposed heading": ("Pre\u0301nom,Nom,Courriel\nAda,Lovelace,ada@example.org\n", [ADA]),
    "spanish moodle": ("Nombre,Apellido(s),Dirección de correo\nAda,Lovelace,ada@example.org\n", [ADA]),
    "german roles": (
        "Name,E-Mail,Rollen\nAda Lovelace,ada@example.org,Teilnehmer/in\nIna,ina@example.org,Dozent/in\n",
        [ADA],
    ),
    "notes with quotes": ('name,email,n\nAda Lovelace,ada@example.org,"5"" wide\nand more"\n', [ADA]),
    "padding": ("name,email,,\nAda Lovelace,ada@example.org,,\n,,,\n", [ADA]),
    "padded lines": ("name,email\nAda Lovelace,ada@example.org,,,\n", [ADA]),
    "short line": ("name,email,section,team\nAda Lovelace,ada@example.org\n", [ADA]),
    "tabs": ("name\temail\nAda Lovelace\tada@example.org\n", [ADA]),
    "semicolons": ('Name;E-Mail;Section\n"Ada Lovelace";ada@example.org;A\n', [ADA_IN_A]),
    "commas in a heading": ('"Grades, all, of it";Name;Email\n5;Ada Lovelace;ada@example.org\n', [ADA]),
    "told separator": ("sep=;\r\nname;email\r\nAda Lovelace;ada@example.org\r\n", [ADA]),
    "told comma": ("\ufeffsep=,\nname,email\nAda Lovelace,ada@example.org\n", [ADA]),
    "heading": ("\n  NAME , E_Mail  Address \nAda Lovelace,ada@example.org\n", [ADA]),
    "old ends of lines": ("name,email\rAda Lovelace,ada@example.org\r\rBo,bo@example.org", [ADA, BO]),
    "cell over two lines": ('name,email\n"Ada\r\nLovelace"," ada@example.org\n"\n', [ADA]),
    "marks": ('\ufeff"name",email\n Ada\u00a0Lovelace ,ADA@example.org\u00a0\n', [ADA]),
    "signs": ("name,email,section\nAda Lovelace,ada@example.org,-\n", [(*ADA[:2], "-")]),
    "two addresses": ("name,SIS Login ID,Email\nAda Lovelace,alovelace,ada@example.org\n", [ADA]),
    "namesakes": (
        "name,email\nWei Wang,wei1@example.org\nWei Wang,wei2@example.org\n",
        [("Wei Wang", "wei1@example.org", None), ("Wei Wang", "wei2@example.org", None)],
    ),
}


@pytest.mark.parametrize("export", EXPORTS)
def test_exports_are_read_as_they_come(export: str) -> None:
    text, users = EXPORTS[export]
    found = roster_tables.read(dedent(text))
    assert [(line.name, line.email, line.section) for line in found.lines] == users


def test_what_was_passed_over_is_named() -> None:
    canvas = roster_tables.read(dedent(EXPORTS["canvas"][0]))
    assert canvas.notices == [
        "Ignored 4 columns: ID, SIS User ID, HW1 (123), Final Score.",
        "Skipped 3 lines not of a student: line 2, Points Possible (line 3), Student, Test (line 6).",
        "Taken as sections of their own: A and B. To put students into one of theirs, name only that one.",
    ]
    assert "ina@example.org (Instructor, line 3)" in roster_tables.read(dedent(EXPORTS["gradescope"][0])).notices[-1]
    assert "bo-b" in roster_tables.read(dedent(EXPORTS["github classroom"][0])).notices[-1]
    assert roster_tables.read("name,email\nAda,a@example.org\n").notices == []
    assert roster_tables.read("name,email,Gruppe\nAda,a@example.org,1\n").notices == [
        "Ignored 1 column: Gruppe. If one of them has the sections, call it section."
    ]


WRONG = {
    "Gruppe,name\nA,Ada\n": ("csv.1", ["no column email", "Gruppe"]),
    "Ada,ada@example.org\n": ("csv.1", ["the first line must be the heading"]),
    "name,email\nLovelace, Ada,ada@example.org\n": ("csv.2", ["quotes"]),
    'Student,SIS Login ID\n"Lovelace, Ada",alovelace\n': ("csv.2.email", ["“SIS Login ID”", "not an e-mail address"]),
    "name,email\nAda,\n": ("csv.2.email", ["is empty", "address"]),
    "First name,Surname,email\n,,ada@example.org\n": ("csv.2.name", ["“First name”", "is empty"]),
    "sep=;\nname;email\nA\u202eda;a@example.org\n": ("csv.3.name", ["U+202E RIGHT-TO-LEFT OVERRIDE at place 2"]),
    "name,email\nA\ufffdda,a@example.org\n": ("csv.2.name", ["wrong encoding"]),
    "name,email\nAda,a@example.org\n\nBo,A@example.org\n": ("csv.4.email", ["line 2"]),
    "name,email\n\N{FULLWIDTH EQUALS SIGN}1+1,a@example.org\n": ("csv.2.name", ["formula"]),
    'name,email,n\nAda,a@example.org,\nBo,bo@example.org,"late\nCy,c@example.org,x\n': ("csv.3", ["never closed"]),
    "name,email,role\nIna,i@example.org,Teacher\n": ("csv", ["no user", "i@example.org (Teacher, line 2)"]),
    "name,email\n@SUM(1),a@example.org\n": ("csv.2.name", ["formula"]),
}


@pytest.mark.parametrize("text", WRONG)
def test_error_names_the_line_the_column_and_what_to_do(text: str) -> None:
    path, words = WRONG[text]
    with pytest.raises(InvalidRequest) as refused:
        roster_tables.read(text)
    assert refused.value.errors
    error = refused.value.errors[0]
    assert (error.path, [word for word in words if word not in error.message]) == (path, [])


TEXT = "name,email\nJosé Ångström-Müller,j@example.org\nZoë O’Hara,z@example.org\n"


@pytest.mark.parametrize("data", [TEXT.encode(), codecs.BOM_UTF8 + TEXT.encode()])
def test_utf_8_is_read_without_a_word(data: bytes) -> None:
    assert roster_files.decode(data) == roster_files.Decoded(TEXT)


@pytest.mark.parametrize(
    ("data", "notice"),
    [
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "UTF-16"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "UTF-16"),
        (TEXT.encode("cp1252"), "“José Ångström-Müller”"),
    ],
)
def test_other_encodings_are_read_with_a_notice(data: bytes, notice: str) -> None:
    found = roster_files.decode(data)
    assert found.text == TEXT
    assert notice in (found.notice or "")


@pytest.mark.parametrize(
    "data",
    [
        "name,email\nИван Петров,i@example.org\n".encode("cp1251"),
        "name,email\n山田太郎,y@example.org\n".encode("shift-jis"),
        "name,email\n王伟,w@example.org\n".encode("gbk"),
        TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le") + b"x",
        TEXT.encode("utf-32"),
        b"PK\x03\x04 a workbook",
        b"\xd0\xcf\x11\xe0 an older one",
        b"name,email\n\x81,a@example.org\n",
    ],
)
def test_what_cannot_be_known_is_refused_with_a_way_out(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="CSV UTF-8"):
        roster_files.decode(data)


def test_cell_of_several_sections_is_a_section_with_a_notice() -> None:
    table = "Student,Email,Section\nA B,a@x.org,CS-A\nC D,c@x.org,CS-A and Lab\nE F,e@x.org,Sand and Sea\n"
    found = roster_tables.read(table)
    assert [line.section for line in found.lines] == ["CS-A", "CS-A and Lab", "Sand and Sea"]
    assert [notice for notice in found.notices if "sections of their own" in notice] == [
        "Taken as sections of their own: CS-A and Lab. To put students into one of theirs, name only that one."
    ]


def test_login_in_the_place_of_an_address_says_which_column_to_add() -> None:
    with pytest.raises(InvalidRequest) as caught:
        roster_tables.read("Student,SIS Login ID\nB A,ab12\n")
    assert caught.value.errors[0].message.endswith("is not an e-mail address; add a column “Email” with the addresses")
    assert roster_tables.read("Student,SIS Login ID,Email\nB A,ab12,a@example.org\n").lines[0].email == "a@example.org"


@pytest.mark.parametrize("mark", ["\u200e", "\u200f", "\u061c", "\u200b", "\ufeff", "\u2060", "\u200f \u200e"])
def test_marks_that_spreadsheets_leave_at_the_ends_of_a_cell_are_dropped(mark: str) -> None:
    text = f"{mark}name{mark},email\n{mark}משה כהן{mark},{mark}ada@example.org{mark}\n"
    found = roster_tables.read(text).lines
    assert [(one.name, one.email) for one in found] == [("משה כהן", "ada@example.org")]


@pytest.mark.parametrize("cell", ["#N/A", "#NV", "#REF!", "#BEZUG!", "#NAME?", "#DIV/0!", "#VALUE!", "#¡REF!"])
@pytest.mark.parametrize("field", ["name", "email", "section", "team"])
def test_failed_formula_is_no_value(cell: str, field: str) -> None:
    values = {"name": "Ada", "email": "ada@example.org", "section": "A", "team": "T"} | {field: cell}
    with pytest.raises(InvalidRequest) as caught:
        roster_tables.read(f"{','.join(values)}\n{','.join(values.values())}\n")
    assert caught.value.errors[0].path == f"csv.2.{field}"


@pytest.mark.parametrize(
    "address",
    [
        *("“ada@example.org”", "'ada@example.org'", "«ada@example.org»", "ada@example.org.", "ada@.example.org"),
        *("ada@example..org", "ada@example.org!", "ada@example.org*", "ada’s@example.org", "ada@exam/ple.org"),
    ],
)
def test_what_stands_around_an_address_is_no_part_of_it(address: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        roster_tables.read(f"name,email\nAda,{address}\n")
    assert [error.path for error in caught.value.errors] == ["csv.2.email"]


@pytest.mark.parametrize(
    "address",
    [
        *("o'brien@example.org", "ada+ml@example.org", "jürgen@münchen.example", "अदा@उदाहरण.परीक्षा", "ada@localhost"),
        *("a.b-c_d@my_host.example", "ada@xn--mnchen-3ya.example", "{ada}@example.org", "ada/b=c@example.org"),
    ],
)
def test_addresses_of_the_world_are_taken(address: str) -> None:
    assert roster_tables.read(f"name,email\nAda,{address}\n").lines[0].email == address


@pytest.mark.parametrize("first", ["Course 101", "# exported 2030", "", "Ada;ada@example.org", "{}"])
def test_table_that_begins_with_something_else_is_told_what_is_expected(first: str) -> None:
    with pytest.raises(InvalidRequest, match="the first line must be the heading"):
        roster_tables.read(f"{first}\n")
