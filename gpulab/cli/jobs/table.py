"""`gpulab jobs`: runs as a table, with columns of any parameter, result or metric."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.session import Session, print_json, session_command
from gpulab.cli.users.assignments import find_assignment
from gpulab.cli.users.naming import OnlyCourse, find_course, find_user
from gpulab.states import STATE_WORDS, JobState, Role

app = typer.Typer()

COLUMN = (
    "`spec.FIELD`, `result.FIELD`, `metric.NAME`, `metric.NAME.min`, `metric.NAME.max`, or a field such as `seconds`"
)
SKETCH = "▁▂▃▄▅▆▇█"
SKETCH_WIDTH = 16


@session_command(app)
def jobs(
    session: Session,
    columns: Annotated[
        list[str] | None, typer.Option(help=f"Columns, separated by commas: {COLUMN}; `metric.NAME.curve` draws it.")
    ] = None,
    sort: Annotated[
        list[str] | None, typer.Option(help="Columns to sort by, `-` before one that descends. Default: newest first.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help='Condition such as "spec.lr>=0.01" or "spec.model=mlp"; repeatable.')
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="Group by these columns; shows mean ± standard deviation.")
    ] = None,
    state: Annotated[list[str] | None, typer.Option(help="Only this state, as the list shows it; repeatable.")] = None,
    experiment: Annotated[str | None, typer.Option(help="Only this experiment.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only runs of this user: name, email address or id.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.")] = None,
    text: Annotated[str | None, typer.Option(help="Only runs with this text in name, experiment or note.")] = None,
    study: Annotated[str | None, typer.Option(help="Only runs of this study: id or name.")] = None,
    course: OnlyCourse = None,
    work_on: Annotated[
        str | None, typer.Option(help="Only runs that count for this assignment: id or name. Not earlier ones.")
    ] = None,
    earlier: Annotated[
        bool, typer.Option("--earlier", help="With --work-on: only runs from before the assignment.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of runs.")] = 20,
) -> None:
    """Show runs as a table: any parameter, result or metric, sorted and filtered over all runs."""
    known = {STATE_WORDS[one]: one.value for one in STATE_WORDS}
    filters: dict[str, Any] = {
        "state": [known.get(word, word) for word in state or []] or None,
        "experiment": experiment,
        "owner": owner,
        "tag": tag,
        "text": text,
        "study": None if study is None else session.study(study).id,
        "course": None if course is None else find_course(session, course),
        "where": where or None,
        "work_on": None if work_on is None else find_assignment(session, work_on).id,
        "earlier": earlier or None,
    }
    if earlier and work_on is None:
        raise BadInput("--earlier goes with --work-on")
    asked, orders = _split(columns), _split(sort)
    if by:
        _show_groups(session, _split(by), asked, orders, filters)
    else:
        _show_rows(session, asked, orders, filters, limit)


def _split(given: Sequence[str] | None) -> list[str]:
    """A name in quotes may hold a comma: it stands alone."""
    names = [name for text in given or [] for name in ([text] if '"' in text else text.split(","))]
    return [name.strip() for name in names if name.strip()]


def _show_rows(session: Session, columns: list[str], orders: list[str], filters: dict[str, Any], limit: int) -> None:
    from gpulab.cli.tables import ago, print_table, styled

    found = session.client.job_table(columns=columns, sort=orders, limit=limit, **filters)
    if session.as_json:
        print_json(found)
        return
    print_table(
        ["JOB", "NAME", "STATE", "OWNER", "AGE", *columns],
        (
            [
                str(row.id),
                row.name or row.experiment,
                styled(JobState(row.state)),
                row.owner,
                ago(row.submitted_at),
                *map(_cell, row.values),
            ]
            for row in found.items
        ),
    )
    _print_count(len(found.items), found.total, "run", found.complete, found.searched)
    if found.total == 0 and filters["owner"] is not None and session.client.me().role != Role.STUDENT:
        # A name that nobody has is a slip, and no user without runs.
        find_user(session, filters["owner"])


def _show_groups(
    session: Session, by: list[str], columns: list[str], orders: list[str], filters: dict[str, Any]
) -> None:
    from gpulab.cli.tables import print_table, value_text

    found = session.client.job_groups(by=by, columns=columns, sort=orders, **filters)
    if session.as_json:
        print_json(found)
        return

    def cell(n: int, mean: float | None, sd: float | None) -> str:
        spread = "" if sd is None else f" ± {sd:.2g}"
        return "" if mean is None else f"{value_text(mean)}{spread} (n {n})"

    print_table(
        [*by, "RUNS", *columns],
        (
            [*map(_cell, group.by), str(group.runs), *(cell(one.n, one.mean, one.sd) for one in group.columns)]
            for group in found.items
        ),
    )
    _print_count(len(found.items), found.groups, "group", found.complete, found.searched)


def _print_count(shown: int, total: int, thing: str, complete: bool, searched: int) -> None:
    from gpulab.words import counted

    older = "" if complete else f" Only the newest {counted(searched, 'run')} were looked at."
    print(f"{shown:,} of {counted(total, thing)}.{older}")


def _cell(value: Any) -> str:
    from gpulab.cli.tables import value_text

    if value is None:
        return ""
    return _sketch(value) if isinstance(value, list) else value_text(value)


def _sketch(points: Sequence[float | None]) -> str:
    """A curve in one line; a gap where a value is not finite."""
    width = min(SKETCH_WIDTH, len(points))
    at = [points[i * (len(points) - 1) // max(width - 1, 1)] for i in range(width)]
    known = [point for point in at if point is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = (len(SKETCH) - 1) / ((high - low) or 1.0)
    return "".join(" " if point is None else SKETCH[round((point - low) * scale)] for point in at)
