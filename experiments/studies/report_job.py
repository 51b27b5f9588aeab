"""What a lab hands to the `study-report` job: the finished runs, cut down to what a report shows."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import StudyPlan
from experiments.studies.question_sets import question_set_of
from experiments.studies.summary import numbers

SLUG = "study-report"
MAX_BYTES = 32 * 2**20


def report_spec(
    plan: StudyPlan, outcomes: Sequence[RunOutcome], lab: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The spec of a `study-report` run; `lab` are facts to print. Raises `ValueError` if too large."""
    question_set = question_set_of(plan.template)
    shown = (
        _once(outcomes, question_set.shown_once) if question_set else [numbers_alone(outcome) for outcome in outcomes]
    )
    spec = {
        "title": plan.title,
        "template": plan.template,
        "scale": plan.scale,
        "questions": list(plan.questions),
        "notes": list(plan.notes),
        "outcomes": [outcome.model_dump(mode="json") for outcome in shown],
        "lab": dict(lab or {}),
    }
    if (size := len(json.dumps(spec))) > MAX_BYTES:
        raise ValueError(f"the results of this study take {size:,} bytes; the limit of a report is {MAX_BYTES:,}")
    return spec


def _once(outcomes: Sequence[RunOutcome], fields: Collection[str]) -> list[RunOutcome]:
    """The outcomes, with these fields of the results for the lowest seed of each spec only."""
    lowest: dict[str, int] = {}
    for outcome in outcomes:
        key = _cell_key(outcome)
        lowest[key] = min(outcome.seed, lowest.get(key, outcome.seed))
    return [
        outcome if outcome.seed == lowest[_cell_key(outcome)] else _without(outcome, fields) for outcome in outcomes
    ]


def _cell_key(outcome: RunOutcome) -> str:
    return json.dumps([outcome.experiment, outcome.spec], sort_keys=True)


def _without(outcome: RunOutcome, fields: Collection[str]) -> RunOutcome:
    if outcome.result is None:
        return outcome
    result = {name: value for name, value in outcome.result.items() if name not in fields}
    return outcome.model_copy(update={"result": result})


def numbers_alone(outcome: RunOutcome) -> RunOutcome:
    """The outcome with the numbers of its result; curves and images stay with the run."""
    if outcome.result is None:
        return outcome
    several = outcome.result.get("replicas")
    result = _numbers_and_names(outcome.result)
    if isinstance(several, list):
        result["replicas"] = [_numbers_and_names(one) for one in several]
    return outcome.model_copy(update={"result": result})


def _numbers_and_names(result: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers, and what tables call a training by: its seed and whether it collapsed."""
    kept = ("seed", "collapsed")
    return {**numbers(result), **{name: result[name] for name in kept if name in result}}
