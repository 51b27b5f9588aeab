"""An experiment run on this machine, with no server."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

from gpulab.cli.failures import BadInput, ExitCode
from gpulab.cli.session import print_json
from gpulab.cli.specs.submission import read_submission

POLL_SECONDS = 0.1
STOP_GRACE_SECONDS = 15.0
NEEDED = ("experiments", "torch")


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
    """Run one experiment on this machine; exit 1 unless it succeeds."""
    submission = read_submission(target, spec, parameters).fields
    if seed is not None:
        submission["seed"] = seed
    _need_the_experiments()
    folder = out or Path("runs") / f"{submission['experiment']}-{datetime.now():%Y%m%d-%H%M%S}"  # noqa: DTZ005 - people's time
    verdict = _carry_out(submission, folder, datasets, as_json=as_json)
    if as_json:
        print_json(verdict)
    else:
        _print_verdict(verdict)
    if verdict["state"] != "succeeded":
        raise typer.Exit(ExitCode.JOB_FAILED)


class RecordTail:
    """Reads the records appended to a run directory since it last looked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> Iterator[dict[str, Any]]:
        """The records completed since; a line still being written waits for its end."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            yield json.loads(line)


def _need_the_experiments() -> None:
    # The job is started with `python -m`, which also looks in the current folder.
    here = Path.cwd()
    missing = [name for name in NEEDED if not (find_spec(name) or (here / name / "__init__.py").exists())]
    if missing:
        raise BadInput(
            f"run --local needs a checkout of gpulab with the worker extra (missing: {', '.join(missing)}): "
            "in the checkout, `pip install -e .[worker]`; or use `gpulab submit`"
        )


def _carry_out(submission: dict[str, Any], folder: Path, datasets: Path, *, as_json: bool) -> dict[str, Any]:
    verdict: dict[str, Any] = {"state": "failed", "cause": "lost", "message": "the process left no verdict"}

    def take(record: dict[str, Any]) -> None:
        match record["type"]:
            case "result":
                verdict.update(state="succeeded", cause=None, message=None, result=record["value"])
            case "error":
                verdict.update(cause=record["cause"], message=record["message"], failure=record.get("failure"))
            case "stopped":
                verdict.update(state="cancelled", cause=None, message=record["message"] or "stopped")
            case "progress" if not as_json:
                show(record)

    with tempfile.TemporaryDirectory() as temporary, _progress(submission["experiment"]) as show:
        spec_file = Path(temporary) / "spec.json"
        kept = {key: submission[key] for key in ("experiment", "spec", "seed") if key in submission}
        spec_file.write_text(json.dumps(kept), encoding="utf-8")
        command = [sys.executable, "-m", "experiments.host", str(spec_file), "--out", str(folder)]
        command += ["--datasets", str(datasets)]
        exit_code, output = _follow(command, RecordTail(folder / "records.ndjson"), take)
    if exit_code == ExitCode.USAGE:
        raise BadInput(" ".join(output.replace(f"{spec_file}: ", "").split()))
    (folder / "output.log").write_text(output, encoding="utf-8")
    return {"experiment": submission["experiment"], **verdict, "out": str(folder)}


def _follow(command: list[str], tail: RecordTail, take: Callable[[dict[str, Any]], None]) -> tuple[int, str]:
    """Run the job's process to its end, handing over each record; returns its exit code and what it printed."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            while _is_running(process):
                for record in tail.new():
                    take(record)
        except KeyboardInterrupt:
            _end(process)
            raise
        for record in tail.new():
            take(record)
        output.seek(0)
        return process.returncode, output.read()


def _is_running(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _progress(title: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Shows progress records on stderr: a bar on a terminal, a line each elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        yield lambda record: print(f"{record['fraction']:4.0%} {record['message']}", file=sys.stderr)
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda record: bar.update(task, completed=record["fraction"], description=record["message"] or title)


def _print_verdict(verdict: dict[str, Any]) -> None:
    from gpulab.cli.jobs.out_of_memory import print_failure
    from gpulab.cli.tables import print_facts, shortened
    from gpulab.schemas import OutOfMemoryRead

    why = ": ".join(part for part in (verdict["cause"], verdict["message"]) if part)
    print_facts(
        [
            ("state", verdict["state"]),
            ("message", why),
            *((f"result.{field}", shortened(value)) for field, value in verdict.get("result", {}).items()),
            ("folder", verdict["out"]),
        ]
    )
    if verdict.get("failure"):
        print_failure(OutOfMemoryRead.model_validate(verdict["failure"]))
