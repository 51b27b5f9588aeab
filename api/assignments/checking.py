"""Whether an assignment can be as it was asked for."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from api.context import App
from api.experiments import service as catalogue
from api.grades import rules
from api.grades import statements as grades
from api.http.problems import InvalidRequest, shortened
from experiments.studies.plan import PlanError, Scale
from experiments.studies.templates import expand
from gpulab.schemas import InvalidField

MAX_PERCENT = 100


def questions_of(templates: list[str]) -> list[str]:
    """Every question of the templates, in their order. Raises `InvalidRequest` for one that there is not."""
    found: dict[str, None] = {}
    for place, template in enumerate(templates):
        try:
            plan = expand(template, Scale.SMOKE)
        except PlanError as error:
            raise InvalidRequest.of(f"templates.{place}", error.errors[0].message, value=template) from None
        found |= dict.fromkeys(plan.questions)
    return list(found)


def check(values: dict[str, Any]) -> None:
    """Raises `InvalidRequest`."""
    known = sorted(entry.slug for entry in catalogue.page().items)
    fields = [
        InvalidField(
            path=f"experiments.{place}", message="unknown experiment", limit={"enum": known}, value=shortened(slug)
        )
        for place, slug in enumerate(values["experiments"])
        if slug not in known
    ]
    if not values["experiments"] and not values["templates"]:
        raise InvalidRequest.of("templates", "name at least one template or experiment")
    if fields:
        raise InvalidRequest.of_fields(fields)
    for field, points in _points_given(values):
        if values["max_points"] is not None and points > values["max_points"]:
            limit = {"le": values["max_points"]}
            raise InvalidRequest.of(field, "gives more points than max_points", limit=limit, value=points)
    if values["late_deduction_unit"] == "percent" and values["late_deduction"] > MAX_PERCENT:
        limit = {"le": MAX_PERCENT}
        raise InvalidRequest.of(
            "late_deduction", "a late day deducts at most 100 percent", limit=limit, value=values["late_deduction"]
        )


async def check_grades(app: App, assignment_id: UUID, values: dict[str, Any]) -> None:
    """Raises `InvalidRequest` where a grade that was given by hand has more points than the assignment would."""
    check = values["hidden_check"]
    most = rules.max_points(SimpleNamespace(**values | {"hidden_check": getattr(check, "obj", check)}))
    if most is None:
        return
    above = await app.database.row(grades.above, assignment_id=assignment_id, points=most)
    if above is not None and above.students:
        which = "1 grade has" if above.students == 1 else f"{above.students} grades have"
        raise InvalidRequest.of(
            "max_points", f"{which} more points, up to {above.highest:g}", limit={"ge": above.highest}, value=most
        )


def _points_given(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    check = values["hidden_check"]
    if check is not None:
        yield "hidden_check.max_points", getattr(check, "obj", check)["max_points"]
    if values["rerun_points"] is not None:
        yield "rerun_points", values["rerun_points"]
