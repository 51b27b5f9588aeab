"""Corrections of grades that come in as a table: every wrong line is named, and what stays is left alone."""

from uuid import UUID

import pytest

from api.grades.corrections import Corrections, read
from api.http.problems import InvalidRequest
from tests.unit.api.test_grade_tables import grade

CLASS = [
    grade("Ada Lovelace", user_id=UUID(int=1), email="ada@example.org", points=5.0, comment="ok"),
    grade("Wei Wang", user_id=UUID(int=2), email="w1@example.org", points=None, comment=None),
    grade("Wei Wang", user_id=UUID(int=3), email="w2@example.org", points=2.0, comment=None),
    grade("José Núñez", user_id=UUID(int=4), email=None, points=None, comment=None, job_id=None, pinned_at=None),
    grade("Max Groß", user_id=UUID(int=5), email="max.groß@uni.example", points=None, comment=None),
    grade("Zoë", user_id=UUID(int=6), email="zoë@uni.example", points=None, comment=None),
]


def corrected(text: str, most: float | None = 10.0) -> Corrections:
    return read(text, CLASS, most)


def wrong(text: str, most: float | None = 10.0) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        corrected(text, most)
    return {error.path: error.message for error in caught.value.errors}


def test_points_and_comments_are_read_and_empty_cells_leave_what_is_there() -> None:
    table = (
        'email;name;points;comment\nADA@example.org;;7,5;\nw1@example.org;;;"Good, but late"\n;jose\u0301 núñez;0;\n'
    )
    found = corrected(table)
    assert [(one.line, one.points, one.comment) for one in found.lines] == [
        (2, 7.5, "ok"),
        (3, None, "Good, but late"),
        (4, 0.0, None),
    ]
    assert found.notices == ["Without a submission: José Núñez."]


def test_what_is_as_it_was_changes_nothing() -> None:
    found = corrected("name,email,final_points,points,comment\nAda,ada@example.org,9,5,ok\n")
    assert [one.changes for one in found.lines] == [False]
    assert found.notices == ["Ignored 1 column: final_points."]


def test_comment_is_emptied_and_loses_the_apostrophe_of_a_spreadsheet() -> None:
    found = corrected("email,comment\nada@example.org,-\nw1@example.org,'=1+1\nw2@example.org,'tis good\n")
    assert [one.comment for one in found.lines] == [None, "=1+1", "'tis good"]


def test_every_wrong_line_is_named_with_its_field_and_value() -> None:
    table = (
        "email,points,comment\n"
        "eve@example.org,1,\n"
        "ada@example.org,eleven,\n"
        "w1@example.org,10.5,\n"
        "w2@example.org,-1,\n"
        ",3,\n"
        "w2@example.org,1e400,\n"
        f"w2@example.org,1,{'x' * 5001}\n"
    )
    found = wrong(table)
    assert list(found) == [
        *("csv.2.email", "csv.3.points", "csv.4.points", "csv.5.points", "csv.6.email", "csv.7.points"),
        "csv.8.comment",
    ]
    assert found["csv.4.points"] == "must be between 0 and 10"
    assert found["csv.6.email"] == "is empty; name the student"


def test_namesakes_need_an_address_and_nobody_comes_twice() -> None:
    assert "w1@example.org, w2@example.org" in wrong("name,points\nwei wang,1\n")["csv.2.name"]
    assert "line 2 is for this student" in wrong("email,points\nada@example.org,1\nADA@example.org,2\n")["csv.3"]


def test_comma_that_would_cut_a_value_off_is_refused() -> None:
    assert "the line has 3 cells" in wrong("email,points\nada@example.org,7,5\n")["csv.2"]
    assert corrected('email,points\nada@example.org,"7,5",\n').lines[0].points == 7.5


@pytest.mark.parametrize("heading", ["email,final_points", "points,comment", "Student,Homework 1", "1,2"])
def test_heading_that_says_nothing_is_refused(heading: str) -> None:
    assert "the heading needs a column" in wrong(f"{heading}\na,1\n")["csv.1"]


def test_table_without_lines_is_refused() -> None:
    assert "no line" in wrong("email,points\n\n")["csv"]


@pytest.mark.parametrize(
    "address", ["max.groß@uni.example", "Max.Groß@Uni.Example", "zoe\u0308@uni.example", "ZOË@UNI.EXAMPLE"]
)
def test_an_address_is_found_in_every_case_and_unicode_form(address: str) -> None:
    assert [one.points for one in corrected(f"email,points\n{address},3\n").lines] == [3.0]


def test_an_address_is_not_that_of_a_user_whose_address_only_folds_to_it() -> None:
    assert "no student" in wrong("email,points\nmax.gross@uni.example,1\n")["csv.2.email"]


@pytest.mark.parametrize("text", ["1,000", "12,500", "999,999"])
@pytest.mark.parametrize("most", [None, 1_000_000.0])
def test_a_comma_that_may_stand_between_thousands_is_not_guessed(text: str, most: float | None) -> None:
    found = wrong(f'email,points\nada@example.org,"{text}"\n', most)["csv.2.points"]
    assert found.startswith("can be read as ")
    assert found.endswith(f"or {text.replace(',', '')}")


@pytest.mark.parametrize(
    ("text", "points"), [("8,333", 8.333), ("0,125", 0.125), ("1.000", 1.0), ("7,50", 7.5), ("-0", 0.0), ("+2", 2.0)]
)
def test_a_number_with_one_possible_reading_is_read(text: str, points: float) -> None:
    found = corrected(f'email;points\nada@example.org;"{text}"\n').lines[0].points
    assert (found, str(found)) == (points, str(points))


@pytest.mark.parametrize("text", ["٧", "７", "7 ", "7e0", "7,5,0", "1 000", "NaN", "∞", "7½"])
def test_what_is_no_plain_number_is_refused_or_trimmed(text: str) -> None:
    table = f'email;points\nada@example.org;"{text}"\n'
    if text.strip() == "7":
        assert corrected(table).lines[0].points == 7.0
    else:
        assert wrong(table)["csv.2.points"] == "is not a number"


def test_a_column_that_appears_twice_is_not_chosen_from() -> None:
    assert "appears twice" in wrong("email,points,Points\nada@example.org,1,2\n")["csv.1"]
    # An address goes before a login, wherever it stands.
    found = corrected("SIS Login ID,email,points\nada17,ada@example.org,1\n")
    assert [one.points for one in found.lines] == [1.0]
