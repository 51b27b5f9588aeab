"""The tables of grades that other platforms import."""

import csv
import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from api.grades import tables
from gpulab.schemas.assignments.grades import GradeColumns, GradeRead, RubricLineRead

DUE = datetime(2030, 1, 31, 22, 59, 59, tzinfo=UTC)


def grade(user: str, **changes: Any) -> GradeRead:
    values = {
        "user_id": UUID(int=1),
        "user": user,
        "email": "a@example.org",
        "section": "A",
        "team": None,
        "job_id": UUID(int=2),
        "pinned_at": datetime(2030, 2, 1, 1, 0, tzinfo=UTC),
        "due_at": DUE,
        "points": 8.0,
        "source": "hand",
        "days_late": 1,
        "deduction": 10.0,
        "deduction_unit": "percent",
        "final_points": 7.2,
        "max_points": 10.0,
        "comment": None,
        "rubric": [],
        "of_earlier_run": False,
    }
    return GradeRead(**{**values, **changes})


def rows(columns: GradeColumns, *grades: GradeRead, name: str = "Homework 1") -> list[list[str]]:
    text = tables.written(columns, name, 10.0, grades).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))


def test_canvas_gets_its_gradebook_with_the_points_possible() -> None:
    heading, possible, *students = rows("canvas", grade("José Núñez, Jr"), grade("Prince"), name="HW 1 (77)")
    assert heading == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "HW 1 (77)"]
    assert possible == ["    Points Possible", "", "", "", "", "10"]
    assert students == [
        ["Núñez, José, Jr", "", "", "a@example.org", "A", "7.2"],
        ["Prince", "", "", "a@example.org", "A", "7.2"],
    ]


def test_moodle_gets_grade_and_feedback_that_says_what_late_days_cost() -> None:
    lines = [RubricLineRead(text="Plots", points=3), RubricLineRead(text="No axis labels", points=-1.5)]
    heading, one, none = rows(
        *("moodle", grade("李 明", comment="Fine", rubric=lines)),
        grade("Bo", final_points=None, points=None, pinned_at=None, job_id=None, deduction=0.0, days_late=0),
    )
    assert heading == ["Full name", "ID number", "Email address", "Grade", "Feedback"]
    assert one[:4] == ["李 明", "", "a@example.org", "7.2"]
    assert one[4] == "Fine; Plots: 3; No axis labels: -1.5; 8 points, 10 percent deducted for 1 late day"
    assert none == ["Bo", "", "a@example.org", "", ""]


def test_gradescope_gets_names_in_two_columns_status_and_lateness() -> None:
    heading, one, two, three = rows(
        *("gradescope", grade("Ada King Lovelace")),
        grade("Bo Li", final_points=None, points=None, pinned_at=DUE),
        grade("Cy", final_points=None, points=None, pinned_at=None, job_id=None),
    )
    named = dict(zip(heading, one, strict=True))
    assert (named["First Name"], named["Last Name"], named["Email"]) == ("Ada King", "Lovelace", "a@example.org")
    assert (named["Total Score"], named["Max Points"], named["Status"]) == ("7.2", "10", "Graded")
    assert (named["Submission Time"], named["Lateness (H:M:S)"]) == ("2030-02-01 01:00:00 +0000", "02:00:01")
    assert dict(zip(heading, two, strict=True))["Lateness (H:M:S)"] == "00:00:00"
    assert [dict(zip(heading, row, strict=True))["Status"] for row in (two, three)] == ["Ungraded", "Missing"]


@pytest.mark.parametrize("columns", ["lab", "canvas", "moodle", "gradescope"])
@pytest.mark.parametrize("formula", ["=cmd|' /C calc'!A1", "+1+1", "@SUM(A1)", "-2+3", "\uff1d1+1", "\t=1"])
def test_no_cell_runs_in_a_spreadsheet(columns: GradeColumns, formula: str) -> None:
    hostile = grade(f"{formula} {formula}", section=formula, team=formula, comment=formula)
    hostile = hostile.model_copy(update={"rubric": [RubricLineRead(text=formula, points=1)]})
    found = rows(columns, hostile, name=formula)
    assert [cell for row in found for cell in row if cell.startswith(("=", "+", "@", "-", "\uff1d", "\t"))] == []


def test_negative_numbers_stay_numbers_and_nothing_is_lost_in_rounding() -> None:
    found = rows("lab", grade("Ann", points=1 / 3, final_points=0.1 + 0.2))
    named = dict(zip(*found, strict=True))
    assert (named["points"], named["final_points"], named["max_points"]) == ("0.3333333333", "0.3", "10")
    assert named["handed_in_at_utc"] == "2030-02-01 01:00:00"
