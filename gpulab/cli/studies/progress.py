"""A study until every run is final: bars on a terminal, a line for each finished question elsewhere. On stderr."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.client import Study
    from gpulab.schemas import QuestionProgressRead, StudyRead


def follow_study(study: "Study") -> None:
    """Return when every run is final. stdout stays free for results."""
    out = Console(stderr=True, highlight=False, markup=False)
    if out.is_terminal:
        _follow_live(study, out)
    else:
        _follow_lines(study, out)


def _follow_live(study: "Study", out: Console) -> None:
    columns = (
        TextColumn("{task.description:<44.44}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
    )
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=out) as progress:

        def show(seen: "Study") -> None:
            for question in _parts(seen._loaded()):
                name = f"{question.question} {question.title}".strip()
                bar = bars.get(name)
                if bar is None:
                    bar = bars[name] = progress.add_task(name, total=question.runs)
                progress.update(bar, completed=question.final, total=question.runs)

        study.wait(on_change=show)


def _follow_lines(study: "Study", out: Console) -> None:
    done: set[str] = set()

    def show(seen: "Study") -> None:
        for question in _parts(seen._loaded()):
            if question.final == question.runs and question.question not in done:
                done.add(question.question)
                failed = question.runs - question.succeeded
                runs = counted(question.runs, "run")
                out.print(f"{question.question:4} {question.title}: {runs}, {failed} without a result")

    study.wait(on_change=show)


def _parts(data: "StudyRead") -> "list[QuestionProgressRead]":
    """The questions, or one part that is the whole grid."""
    from gpulab.schemas import QuestionProgressRead
    from gpulab.states import FINAL_STATES, JobState

    if data.questions:
        return data.questions
    final = sum(count for state, count in data.states.items() if state in FINAL_STATES)
    succeeded = data.states.get(JobState.SUCCEEDED, 0)
    return [QuestionProgressRead(question="", title=data.title, runs=data.runs, final=final, succeeded=succeeded)]
