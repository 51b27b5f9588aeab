"""Whether the user who asks may see answers now."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import NoReturn
from uuid import UUID

import orjson

from api import deadlines
from api.answers import statements
from api.answers.rules import field_names, holds, is_answer, without_answers
from api.auth.principal import Principal
from api.context import App
from api.experiments import service as catalogue
from api.http.problems import AnswersHeldBack, ExperimentNotFound
from api.sql.database import Row
from experiments.studies.question_sets import questions_with
from experiments.studies.report_job import SLUG as REPORT
from gpulab.schemas import ExperimentDetail, ExperimentPage, ExperimentSummary, JobRead


async def holding(app: App, principal: Principal) -> Sequence[Row]:
    """The assignments that hold answers back from the user; none from staff. The last one to end comes first."""
    return [] if principal.sees_all else await app.database.rows(statements.holding_back, user_id=principal.id)


async def held_by(
    app: App, principal: Principal, *, experiments: Collection[str] = (), questions: Collection[str] = ()
) -> Row | None:
    """The assignment that holds back answers about any of these; None where the user may see them."""
    return first(await holding(app, principal), experiments=experiments, questions=questions)


def first(
    assignments: Sequence[Row], *, experiments: Collection[str] = (), questions: Collection[str] = ()
) -> Row | None:
    asked = {"experiments": experiments, "questions": questions}
    return next((one for one in assignments if holds(one, questions_with, **asked)), None)


@cache
def tells(experiment: str) -> bool:
    """Whether results of the experiment have answers in them. A program that left the lab is taken to have none."""
    if experiment == REPORT:
        return True
    try:
        found = catalogue.detail(experiment)
    except ExperimentNotFound:
        return False
    return any(map(is_answer, [*field_names(found.result_schema), *(metric.name for metric in found.metrics)]))


def about_report(questions: Collection[str], experiments: Collection[str]) -> dict[str, Collection[str]]:
    """What a report shows answers about: its questions; without any, as for a grid, the experiments of its runs."""
    return {"questions": questions, "experiments": [] if questions else list(filter(tells, set(experiments)))}


async def held_of_job(app: App, principal: Principal, job_id: UUID, experiment: str) -> Row | None:
    """The assignment that holds back the answers in a job; None where it has none, or the user may see them."""
    if principal.sees_all or not tells(experiment):
        return None
    if experiment != REPORT:
        return await held_by(app, principal, experiments=[experiment])
    # The spec of a report is large: it is read only where something is held back.
    if not (assignments := await holding(app, principal)):
        return None
    about = await app.database.row(statements.reported, job_id=job_id)
    return about and first(assignments, **about_report(about.questions or [], about.experiments))


def stripped(job: JobRead) -> JobRead:
    """A job without the answers in it. Of a report nothing but its title stays."""
    spec = {"title": job.spec.get("title")} if job.experiment == REPORT else job.spec
    result = None if job.experiment == REPORT else without_answers(job.result)
    return job.model_copy(update={"spec": spec, "result": result})


def study_without_answers(assignments: Sequence[Row], study: bytes) -> bytes:
    """The JSON of a `StudyRead` without the answers in its statistics."""
    found = orjson.loads(study)
    for cell in found["comparison"]:
        if tells(cell["experiment"]) and first(assignments, experiments=[cell["experiment"]]) is not None:
            cell["fields"] = without_answers(cell["fields"])
    return orjson.dumps(found)


def page_without_answers(assignments: Sequence[Row], page: ExperimentPage) -> ExperimentPage:
    items = [one.model_copy(update=_summary(assignments, one)) for one in page.items]
    return page.model_copy(update={"items": items})


def detail_without_answers(assignments: Sequence[Row], detail: ExperimentDetail) -> ExperimentDetail:
    if first(assignments, experiments=[detail.slug]) is None:
        return detail
    return detail.model_copy(
        update={
            **_summary(assignments, detail),
            "spec_schema": without_answers(detail.spec_schema),
            "result_schema": without_answers(detail.result_schema),
            "metrics": [metric for metric in detail.metrics if not is_answer(metric.name)],
        }
    )


def _summary(assignments: Sequence[Row], experiment: ExperimentSummary) -> dict[str, str]:
    """The summary of an experiment of a question set says what its runs find."""
    held = first(assignments, experiments=[experiment.slug]) if experiment.questions else None
    return {} if held is None else {"summary": f"The description is shown after the deadline of {held.name!r}."}


def refuse(app: App, what: str, assignment: Row) -> NoReturn:
    """Raises `AnswersHeldBack`."""
    until = deadlines.shown(assignment.shown_at, app.settings.time_zone)
    message = f"{what} shows correct answers; you can see it after the deadline of {assignment.name!r}: {until}"
    raise AnswersHeldBack(message)
