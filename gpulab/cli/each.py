"""One command on several things: each gets its line, and one that fails does not stop the others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import typer

from gpulab.cli.failures import as_failure, report_on
from gpulab.cli.session import Session, print_json
from gpulab.errors import GpulabError, LabUnreachable

T = TypeVar("T")


@dataclass(slots=True)
class Outcomes(Generic[T]):
    """What became of each name."""

    done: dict[str, T] = field(default_factory=dict)
    failed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def finish(self) -> None:
        """Raises `typer.Exit` with the highest exit code, where something failed."""
        if self.failed:
            raise typer.Exit(max(failure["exit_code"] for failure in self.failed.values()))


def attempt(session: Session, names: Iterable[str], act: Callable[[str], T], line: Callable[[T], str]) -> Outcomes[T]:
    """Act on each name once and print its line. Once the lab is away, the rest is not tried."""
    outcomes: Outcomes[T] = Outcomes()
    away: LabUnreachable | None = None
    for name in dict.fromkeys(names):
        try:
            if away is not None:
                raise LabUnreachable(f"not tried: {away}")
            done = outcomes.done[name] = act(name)
        except (GpulabError, OSError) as error:
            away = away or (error if isinstance(error, LabUnreachable) else None)
            outcomes.failed[name] = report_on(name, as_failure(error), as_json=session.as_json)
        else:
            if not session.as_json:
                print(line(done), flush=True)
    return outcomes


def each(
    session: Session,
    names: Iterable[str],
    act: Callable[[str], T],
    line: Callable[[T], str],
    as_json: Callable[[T], Any],
) -> None:
    """The same; with `--json` one list, in the order of the names, and then the exit code."""
    names = list(dict.fromkeys(names))
    outcomes = attempt(session, names, act, line)
    if session.as_json:
        items: list[Any] = [outcomes.failed.get(name) or as_json(outcomes.done[name]) for name in names]
        print_json(items)
    outcomes.finish()
