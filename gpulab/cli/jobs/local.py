"""`gpulab run --local`: one experiment on this machine, without a lab."""

from pathlib import Path

from gpulab.cli.failures import BadInput
from gpulab.cli.server_side import local_run
from gpulab.cli.specs.submission import read_submission


def run_here(
    target: str,
    spec: str | None,
    parameters: list[str],
    seed: int | None,
    *,
    out: Path | None,
    datasets: Path,
    as_json: bool,
) -> None:
    """Run it, show its progress and how it ended. Raises BadInput, and `typer.Exit` unless it succeeds."""
    run = local_run()
    if run is None:
        raise BadInput("run --local needs a checkout of gpulab; to run in the lab use `gpulab submit`")
    submission = read_submission(target, spec, parameters).fields
    if seed is not None:
        submission["seed"] = seed
    run(submission, out, datasets, as_json=as_json)
