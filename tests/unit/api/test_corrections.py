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
]


def corrected(text: str) -> Corrections:
    return read(text, CLASS, 10.0)


def wrong(text: str) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        corrected(text)
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
