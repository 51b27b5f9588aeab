"""`gpulab reproduce`: answers a question set such as the homework, or a part of it, and reports what is right."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulab.cli.failures import ExitCode
from gpulab.cli.session import RETRY_SECONDS, AsJson, TokenFile, Url
from gpulab.errors import ConfigurationError, LabUnreachable
from gpulab.states import JobState
from gpulab.words import counted
from server.commands import own_code

if TYPE_CHECKING:
    from gpulab.client import Client, Study

TOO_SMALL = "too_small"
WORDS = {
    "agrees": ("✓ agrees", "green"),
    "sheet_is_wrong": ("✎ sheet is wrong", "yellow"),
    "differs": ("✗ differs", "red"),
    "undecided": ("? undecided", "cyan"),
    "too_small": ("· too small here", "dim"),
    "not_measured": ("○ not measured", "dim"),
}


def reproduce(
    scale: Annotated[
        str, typer.Option(help="smoke: seconds for each question; cpu: minutes; full: the question set's own sizes.")
    ] = "smoke",
    question_set: Annotated[
        str | None, typer.Option(help="Which question set, if several are installed.", show_default=False)
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A question or a part, such as 4b or 1; repeatable.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, max=200, help="Number of seeds: 0, 1, 2, ...", show_default="the scale's own")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again even runs that succeeded before.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the report; created if missing.")] = Path("reproduction"),
    show_page: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    own: Annotated[bool, typer.Option("--own", help="Start a separate lab, even if one answers.")] = False,
    data: Annotated[Path, typer.Option(help="Folder of the separate lab. Its finished runs are reused.")] = Path(
        ".lab/reproduce"
    ),
    datasets: Annotated[
        Path | None, typer.Option(help="Folder of data sets for the separate lab.", show_default=False)
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, help="CPU jobs at the same time in the separate lab.", show_default="one a core"),
    ] = None,
    emulate: Annotated[
        str | None,
        typer.Option(
            metavar="CARDS",
            help="Emulated GPUs of the separate lab, such as T4: memory figures without a GPU.",
            show_default=False,
        ),
    ] = None,
    program: Annotated[
        Path | None,
        typer.Option(help="Also run this script or notebook of yours, and show its result.", show_default=False),
    ] = None,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Answer the questions of an installed question set, such as the homework, and write the report.

    Uses the lab that --url or the environment names, or the one on this machine. If none is named and none answers, it
    starts a temporary lab. Exits with 0 if every run succeeded.
    """
    with _lab(url, token_file, own, data, datasets, slots, emulate) as (client, folder):
        chosen = _chosen_question_set(client, question_set)
        sent = None if program is None else own_code.send(client, program)
        study = client.submit_study(
            f"{chosen}/{'+'.join(only) if only else 'all'}",
            scale=scale,
            seeds=None if seeds is None else list(range(seeds)),
            fresh=fresh,
        )
        _follow(study, as_json=as_json)
        paths = study.report(out)
        findings = json.loads((out / "findings.json").read_text(encoding="utf-8"))
        own_run = None if sent is None else own_code.finished(sent, out)
        if as_json:
            _print_json(study, out, paths, findings, own_run)
        else:
            _print_findings(findings)
            _print_too_small(findings)
            if own_run is not None:
                print(own_code.line(own_run))
            _print_end(study, out, paths, None if folder is None else _again(folder, emulate))
    if show_page:
        typer.launch(str(out / "report.html"))
    if study.state != "succeeded" or (own_run is not None and own_run.state is JobState.FAILED):
        raise typer.Exit(ExitCode.JOB_FAILED)


def _chosen_question_set(client: "Client", slug: str | None) -> str:
    """The question set to answer. Raises ConfigurationError if that is not clear."""
    installed = [question_set.slug for question_set in client.question_sets()]
    if not installed:
        raise ConfigurationError("no question set is installed in this lab (see docs/adding-an-experiment.md)")
    if slug is None and len(installed) > 1:
        raise ConfigurationError(f"choose a question set with --question-set: {', '.join(installed)}")
    if slug is not None and slug not in installed:
        raise ConfigurationError(
            f"no question set {slug!r} is installed in this lab; there are: {', '.join(installed)}"
        )
    return slug or installed[0]


@contextmanager
def _lab(
    url: str | None,
    token_file: Path | None,
    own: bool,
    data: Path,
    datasets: Path | None,
    slots: int | None,
    emulate: str | None,
) -> "Iterator[tuple[Client, Path | None]]":
    """A client of the lab, and the folder of the lab where it is our own."""
    from gpulab.client import Client

    if own and url is not None:
        raise ConfigurationError("--own starts a lab, so it cannot be used with --url")
    if not own and _answers(url, token_file):
        with Client(url, token_file=token_file, retry_seconds=RETRY_SECONDS) as client:
            yield client, None
        return
    from server.own_lab import own_lab

    typer.echo("Starting a lab.", err=True)
    with (
        own_lab(data, datasets=datasets, slots=slots, emulate=emulate) as lab,
        Client(lab.url, token_file=lab.token_file, retry_seconds=RETRY_SECONDS) as client,
    ):
        yield client, data


def _answers(url: str | None, token_file: Path | None) -> bool:
    """Whether there is a lab; a lab that was named and does not answer is an error."""
    from gpulab.client import Client
    from gpulab.client.transport.connection import named_address

    named = named_address(url) is not None
    with Client(url, token_file=token_file, retry_seconds=RETRY_SECONDS if named else 0.0) as client:
        try:
            client.me()
        except LabUnreachable:
            if named:
                raise
            return False
    return True


def _follow(study: "Study", *, as_json: bool) -> None:
    if as_json:
        study.wait()
        return
    from gpulab.cli.studies.progress import follow_study

    typer.echo(f"{study.title}: {counted(study.data.runs, 'run')}, {study.data.reused} of them done before.", err=True)
    follow_study(study)


def _print_json(
    study: "Study", out: Path, paths: list[Path], findings: dict[str, Any], own_run: "own_code.OwnCode | None"
) -> None:
    comparisons = [
        {"question": question["question"], **comparison}
        for question in findings["questions"]
        for comparison in question["comparisons"]
    ]
    facts = {
        "study_id": str(study.id),
        "state": study.state,
        "runs": study.data.runs,
        "states": {state.value: count for state, count in study.data.states.items()},
        "folder": str(out),
        "files": [path.name for path in paths],
        "verdicts": findings["verdicts"],
        "comparisons": comparisons,
        "own_code": own_run and own_run.as_json(),
    }
    print(json.dumps(facts, ensure_ascii=False))


def _print_findings(findings: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from gpulab.cli.tables import PIPE_WIDTH, console, printable

    screen = console()
    if not screen.is_terminal:
        screen.width = min(PIPE_WIDTH, 160)
    table = Table(title="The sheet's value, the correct value and our value")
    for column in ("", "quantity", "the sheet", "correct", "ours", "verdict"):
        table.add_column(column)
    for question in findings["questions"]:
        judged = [one for one in question["comparisons"] if one["verdict"] != TOO_SMALL]
        for place, one in enumerate(judged):
            words, style = WORDS.get(one["verdict"], (one["verdict"], ""))
            digits = one.get("digits", 5)
            cells = [one["quantity"], *(shown(one[name], digits) for name in ("sheet", "correct", "ours"))]
            table.add_row(
                Text(question["question"] if place == 0 else ""),
                *(Text(printable(cell)) for cell in cells),
                Text(words, style=style),
            )
    screen.print(table)


def _print_too_small(findings: dict[str, Any]) -> None:
    """What only larger runs can show; printed separately."""
    rows = [
        (one["least"]["scale"] if one["least"] and one["verdict"] == TOO_SMALL else None, question["question"])
        for question in findings["questions"]
        for one in question["comparisons"]
    ]
    for scale in sorted({scale for scale, _ in rows if scale and scale != findings["scale"]}):
        questions = list(dict.fromkeys(name for least, name in rows if least == scale))
        count = counted(sum(least == scale for least, _ in rows), "comparison")
        print(f"Too small here: {count} of questions {', '.join(questions)} need larger runs.")
        print(f"To judge them: gpulab reproduce --scale {scale}")


def shown(value: Any, digits: int = 5) -> str:
    """A value of a comparison in a few characters; an interval as its mean and half its width."""
    match value:
        case None:
            return "–"
        case {"mean": mean, "low": low, "high": high}:
            half = "" if low is None or high is None or low == high else f" ± {(high - low) / 2:.2g}"
            return f"{mean:.{digits}g}{half}"
        case bool() | str():
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.{digits}g}"
    return json.dumps(value)


def _again(folder: Path, emulate: str | None) -> str:
    """The command that starts the lab again. Without its emulated GPUs, the node would be set aside as broken."""
    return f"gpulab up --data {quote(str(folder))}" + (f" --emulate {quote(emulate)}" if emulate else "")


def _print_end(study: "Study", out: Path, paths: list[Path], again: str | None) -> None:
    succeeded = study.data.states.get(JobState.SUCCEEDED, 0)
    pictures = sum(path.suffix == ".png" for path in paths)
    print(f"{succeeded} of {study.data.runs} runs succeeded.")
    print(f"The report: {out / 'report.html'} (also report.md, findings.json and {pictures} images)")
    if again is None:
        print(f"The study: gpulab study show {study.id}")
    else:
        print(f"The lab's data are kept. Start this lab again, with all its jobs: {again}")
