"""`gpulab simulate`: how the scheduler would do, without a lab."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from gpulab.cli.failures import BadInput

app = typer.Typer()


@app.command()
def simulate(
    trace: Annotated[
        Path | None, typer.Option(help="Tasks of the Alibaba GPU-sharing trace (CSV); else a generated deadline week.")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 2,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of each.")] = 4,
    gpu_gib: Annotated[int, typer.Option(min=1, help="Memory of each GPU in GiB.")] = 80,
    seeds: Annotated[int, typer.Option(min=1, help="Replays, each of a workload of its own.")] = 3,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first replay.")] = 0,
    students: Annotated[int, typer.Option(min=1, help="People of the generated class.")] = 120,
    jobs: Annotated[int, typer.Option(min=2, help="Tasks of the trace in one replay.")] = 500,
    load: Annotated[float, typer.Option(min=0.01, help="Work over what the lab can do.")] = 1.0,
    tick_seconds: Annotated[float, typer.Option(min=0.1, help="Virtual seconds between two looks at the queue.")] = 5.0,
    json: Annotated[Path | None, typer.Option(help="File for every measure of every replay; - prints it.")] = None,
    plot: Annotated[Path | None, typer.Option(help="File for a picture of the waiting times.")] = None,
) -> None:
    """Replay a workload through the scheduler's planner, beside other policies; needs a checkout with the server."""
    if find_spec("scheduler") is None:
        raise BadInput("`gpulab simulate` needs the server's packages: run it from a checkout")
    given = {
        "trace": trace,
        "nodes": nodes,
        "gpus": gpus,
        "gpu-gib": gpu_gib,
        "seeds": seeds,
        "first-seed": first_seed,
        "students": students,
        "jobs": jobs,
        "load": load,
        "tick-seconds": tick_seconds,
        "json": json,
        "plot": plot,
    }
    options = [f"--{name}={value}" for name, value in given.items() if value is not None]
    done = subprocess.run([sys.executable, "-m", "scheduler.simulate", *options], check=False)
    raise typer.Exit(done.returncode)
