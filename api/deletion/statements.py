"""Deleting runs and studies, each with its event of the audit."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Select, Text, cast, delete, func, literal, select

from api.audit.statements import Origin, audited
from models.composed import statement
from models.statements.erasure.runs import deletable, deletion, study_with_runs
from models.tables.study import Study, StudyRun


@statement(anew=True)
def delete_runs(job_ids: Sequence[UUID], origin: Origin) -> Select[Any]:
    """Delete those that can be. Returns them."""
    made = deletion(deletable(job_ids))
    whose = func.jsonb_build_object("owner_id", made.gone.c.owner_id)
    return audited(made.gone, origin, "job.deleted", _target("job", made.gone), whose).add_cte(*made.parts)


@statement(anew=True)
def delete_study(study_id: UUID, origin: Origin) -> Select[Any]:
    """Delete a study that is over, with its runs that are nobody else's. No row: it still runs, or it is gone.

    The row has `deleted` and `planned`, numbers of runs.
    """
    study, wanted = study_with_runs(study_id)
    made = deletion(wanted, of_study=study)
    gone = delete(Study).where(Study.id == study.c.id).returning(Study.id, Study.owner_id).cte("gone_study")
    planned = select(func.count()).where(StudyRun.study_id == study_id).scalar_subquery()
    deleted = (
        select(func.count())
        .select_from(made.gone.join(StudyRun, StudyRun.job_id == made.gone.c.id))
        .where(StudyRun.study_id == study_id)
        .scalar_subquery()
    )
    counted = select(gone.c.id, gone.c.owner_id, deleted.label("deleted"), planned.label("planned")).cte("counted")
    kept = counted.c.planned - counted.c.deleted
    told = func.jsonb_build_object(
        *("owner_id", counted.c.owner_id, "runs_deleted", counted.c.deleted, "runs_kept", kept)
    )
    return audited(counted, origin, "study.deleted", _target("study", counted), told).add_cte(*made.parts)


def _target(kind: str, gone: CTE) -> Any:
    return literal(f"{kind}:", Text).concat(cast(gone.c.id, Text))
