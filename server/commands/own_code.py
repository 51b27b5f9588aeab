"""A user's own program next to a question set: sent before the questions run, shown after them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpulab.errors import WaitTimeout
from gpulab.states import JobState, WaitReason

if TYPE_CHECKING:
    from gpulab.client import Client, Job

FOLDER = "own-code"
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class OwnCode:
    """How it went."""

    name: str
    job_id: str
    state: JobState
    message: str | None
    result: dict[str, Any]
    files: list[str]

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "job_id": self.job_id, "state": self.state.value, "message": self.message,
                "result": self.result, "files": self.files}  # fmt: skip


def send(client: "Client", target: Path) -> "Job":
    """Queue a script or notebook. It runs beside the questions."""
    return client.run(target, name=target.name, gpus=0)


def finished(job: "Job", out: Path) -> OwnCode:
    """Wait for it, and keep its files beside the report. Where no node has a sandbox, it is cancelled."""
    waiting = job.refresh().queue()
    if waiting.reason == WaitReason.NO_SANDBOX:
        job.cancel()
        return _of(job, f"not run: {waiting.explanation}", [])
    try:
        job.wait(PATIENCE_SECONDS)
    except WaitTimeout:
        return _of(job, f"not finished {PATIENCE_SECONDS:.0f} s after the questions; see gpulab status {job.id}", [])
    files = [str(job.download(artifact.name, out / FOLDER)) for artifact in job.artifacts()]
    return _of(job, job.data.message, files)


def line(found: OwnCode) -> str:
    """`Your own code: dropout.ipynb succeeded: distance 0.02, lr 0.05`."""
    from gpulab.cli.tables import printable, value_text

    if found.state is not JobState.SUCCEEDED:
        return printable(f"Your own code: {found.name} {found.message or found.state.value}")
    values = ", ".join(f"{name} {value_text(value)}" for name, value in found.result.items())
    return printable(f"Your own code: {found.name} succeeded: {values or 'no result'}")


def _of(job: "Job", message: str | None, files: list[str]) -> OwnCode:
    data = job._loaded()
    return OwnCode(data.name or "program", str(job.id), data.state, message, dict(data.result or {}), files)
