"""`gpulab run`: your own code in the lab, or with --local an experiment on this machine."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from gpulab.cli.failures import BadInput
from gpulab.cli.jobs import dry_run as dry_runs
from gpulab.cli.session import Session, print_json, with_session
from gpulab.cli.specs.submission import read_parameter, seconds
from gpulab.states import STATE_WORDS

app = typer.Typer()

SCRIPT = ".py"
DRY_RUN = "--dry-run"
OF_THE_LAB = frozenset(
    {
        DRY_RUN,
        "--name",
        "--tag",
        "--priority",
        "--time-limit",
        "--gpus",
        "--gpu-memory",
        "--exclusive",
        "--follow",
        "--wait",
    }
)
"""Options that few programs have: given to a program, they are probably meant for the lab."""
UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


class RunCommand(TyperCommand):
    """What follows a script or a folder belongs to the program: its options are none of ours."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.allow_interspersed_args = False
        values, _, _ = self.make_parser(ctx).parse_args(list(args))
        ctx.allow_interspersed_args = not _takes_the_rest(str(values.get("target")))
        return super().parse_args(ctx, args)


def run(
    session: Session,
    target: Annotated[
        str,
        typer.Argument(
            metavar="SCRIPT.py|NOTEBOOK.ipynb|FOLDER|EXPERIMENT",
            help="What to run. An experiment, or a file that names one, needs --local.",
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENTS]...", help="Arguments of the script; for a folder, the command after `--`."),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("-p", "--param", metavar="KEY=VALUE", help="A parameter, or a field of the spec; repeatable."),
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Data set that the program reads; repeatable.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.", show_default="0")] = None,
    name: Annotated[
        str | None, typer.Option(help="A name that you will recognise.", show_default="that of the file or folder")
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A label to filter by; repeatable.")] = None,
    priority: Annotated[str | None, typer.Option(help="high, normal or low.", show_default="normal")] = None,
    time_limit: Annotated[str | None, typer.Option(help="Time limit of the run: seconds, or 90s, 30m, 2h.")] = None,
    gpus: Annotated[int | None, typer.Option(help="Number of GPUs, on one machine; 0 for the CPU.")] = None,
    gpu_memory: Annotated[str | None, typer.Option(help="Memory to reserve on each GPU: 6GiB, 900MiB.")] = None,
    exclusive: Annotated[bool | None, typer.Option(help="Reserve whole GPUs.", show_default=False)] = None,
    follow: Annotated[
        bool | None,
        typer.Option(
            "--follow/--no-follow",
            "--wait",
            help="Wait until it ends; exit with 1 unless it succeeds.",
            show_default="in a terminal",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option(DRY_RUN, help="Send the program and predict its GPU memory, without a job.")
    ] = False,
    local: Annotated[bool, typer.Option("--local", help="Run an experiment on this machine, without a lab.")] = False,
    spec: Annotated[str | None, typer.Option(help="With --local: the spec, as JSON or as a file.")] = None,
    out: Annotated[Path | None, typer.Option(help="With --local: folder for the run; empty or new.")] = None,
    datasets: Annotated[Path, typer.Option(help="With --local: folder of data sets.")] = Path("datasets"),
) -> None:
    """Run your script, notebook or folder in the lab.

    Options for the lab come before the script or folder. What follows it belongs to your program.
    """
    from gpulab.client.programs.local import doubts_about, is_program

    if local and dry_run:
        raise BadInput("--dry-run asks a lab, and --local runs without one; use one of them")
    if local:
        _run_here(session, target, spec, parameters, seed, out, datasets)
        return
    if not is_program(target):
        raise BadInput(_no_program(target))
    options = _chosen(
        seed=seed,
        name=Path(target).resolve().name if name is None else name,
        tags=tags or None,
        priority=priority,
        time_limit_seconds=None if time_limit is None else seconds(time_limit),
        gpus=gpus,
        gpu_memory_bytes=None if gpu_memory is None else byte_count(gpu_memory),
        exclusive=exclusive,
    )
    values = dict(read_parameter(text) for text in parameters or [])
    experiment, spec_sent = session.client.programs.prepare(
        target, *without_dashes(arguments or []), parameters=values, datasets=dataset or []
    )
    for doubt in doubts_about(target, values):
        print(f"note: {doubt}", file=sys.stderr)
    if dry_run:
        dry_runs.show_program(session, session.client.dry_run(experiment, spec_sent, **options))
        return
    for option in _meant_for_the_lab(arguments or []):
        print(
            f"{option} went to your program, because it comes after {target}. For the lab, write it before {target}.",
            file=sys.stderr,
        )
    _show(session, session.client.submit(experiment, spec_sent, **options), follow)


def _meant_for_the_lab(arguments: list[str]) -> list[str]:
    """After `--` stands the command of a folder, where nobody expects the lab to look."""
    if arguments[:1] == ["--"]:
        return []
    return sorted({argument.partition("=")[0] for argument in arguments} & OF_THE_LAB)


def byte_count(text: str) -> int:
    """`6GiB`, `900 MB` or `1000000` in bytes. Raises BadInput."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?|\d{1,15})\s*([kmgt]i?)?b?", text.strip().lower())
    if match is None:
        raise BadInput(f"--gpu-memory {text!r} must look like 6GiB, 900MiB or 4GB")
    return int(float(match[1]) * UNITS[match[2] or ""])


def _takes_the_rest(target: str) -> bool:
    return Path(target).suffix == SCRIPT or Path(target).is_dir()


def _no_program(target: str) -> str:
    if Path(target).suffix in {SCRIPT, ".ipynb"}:
        return f"{target} does not exist"
    return (
        f"{target!r} is not a script, notebook or folder. To run an experiment, use `gpulab submit {target}` (in the "
        f"lab) or `gpulab run {target} --local` (on this machine)"
    )


def without_dashes(arguments: list[str]) -> list[str]:
    """The command that follows `--`, or the arguments as they are."""
    return arguments[1:] if arguments[:1] == ["--"] else arguments


def _chosen(**options: Any) -> dict[str, Any]:
    return {option: value for option, value in options.items() if value is not None}


def _show(session: Session, job: Any, follow: bool | None) -> None:
    from gpulab.cli.tables import console

    if not session.as_json:
        print(f"{job.id}  {job.name or job.data.program.name} {STATE_WORDS[job.state]}", flush=True)
    if follow if follow is not None else console().is_terminal and not session.as_json:
        from gpulab.cli.jobs.watch import follow_to_end

        follow_to_end(session, job, each_change=False)
    elif session.as_json:
        print_json(job.data)


def _run_here(
    session: Session,
    target: str,
    spec: str | None,
    parameters: list[str] | None,
    seed: int | None,
    out: Path | None,
    datasets: Path,
) -> None:
    from gpulab.cli.jobs.local import run_here

    if _takes_the_rest(target):
        raise BadInput(f"--local is for experiments; run {target} with Python itself")
    run_here(target, spec, parameters or [], seed, out=out, datasets=datasets, as_json=session.as_json)


app.command(cls=RunCommand)(with_session(run))
