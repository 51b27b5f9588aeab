"""What the fields of a study do to its results, as its charts need it."""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from uuid import UUID

from api.answers import service as answers
from api.answers.rules import is_answer
from api.auth.principal import Principal
from api.context import App
from api.http import etag
from api.http.problems import InvalidRequest
from api.studies import statements
from api.studies.reading import outcome, version, visible
from experiments.studies import effects
from experiments.studies.outcome import RunOutcome

DEFAULT_RESULTS = 2


async def get_when_changed(
    app: App,
    principal: Principal,
    study_id: UUID,
    experiment: str | None,
    results: Sequence[str],
    if_none_match: str | None,
) -> tuple[bytes, str]:
    """The JSON of a `StudyEffectsRead` and its tag; empty for one that the client has already.

    Raises `StudyNotFound`, and `InvalidRequest` for an experiment or a result that the study does not have.
    """
    await visible(app, principal, study_id)
    standing = await version(app, study_id)
    held = await answers.holding(app, principal)
    asked = (study_id, standing.version, experiment, results, [(one.experiments, one.questions) for one in held])
    tag = f'"{sha256(repr(asked).encode()).hexdigest()[:32]}"'
    if etag.matches(if_none_match, tag):
        return b"", tag
    rows = await app.database.rows(statements.runs, study_id=study_id)
    slugs = list(dict.fromkeys(row.experiment for row in rows))
    slug = _known("experiment", slugs[0] if experiment is None else experiment, slugs)
    hides = answers.tells(slug) and answers.first(held, experiments=[slug]) is not None
    key = ("effects of a study", study_id, slug, tuple(results), hides)

    async def read() -> bytes:
        of_it = [(row.id, outcome(row)) for row in rows if row.experiment == slug]
        known = await app.known_results.of(of_it)
        return await app.heavy.run(partial(_content, slug, slugs, known, results, hides=hides))

    return await app.shared_work.after_now(key, read), tag


def _content(
    slug: str, slugs: Sequence[str], runs: Sequence[RunOutcome], results: Sequence[str], *, hides: bool
) -> bytes:
    trainings = effects.trainings_of(runs)
    known = [name for name in effects.results_of(trainings) if not (hides and is_answer(name))]
    chosen = [_known("result", name, known) for name in results] or known[:DEFAULT_RESULTS]
    return effects.effects(slug, slugs, trainings, known, chosen).model_dump_json().encode()


def _known(parameter: str, name: str, known: Sequence[str]) -> str:
    if name not in known:
        raise InvalidRequest.of(parameter, "the study has none of this name", limit={"enum": list(known)}, value=name)
    return name
