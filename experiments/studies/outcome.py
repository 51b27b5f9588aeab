"""What became of a run, as studies read it: from the database's row, or from a run directory."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

SUCCEEDED = "succeeded"


class RunOutcome(BaseModel):
    """One run, finished or not."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    experiment: str
    """Slug of the experiment."""
    spec: dict[str, Any]
    """The complete spec."""
    seed: int
    """Its seed."""
    cell: dict[str, JsonValue] = {}
    """Its coordinates in tables."""
    questions: tuple[str, ...] = ()
    """The questions that read it, each by its template, `course/1b`."""
    state: str = SUCCEEDED
    """The job's state; only `succeeded` has a result."""
    cause: str | None = None
    """Why it failed."""
    message: str | None = None
    """The error in a line."""
    result: dict[str, Any] | None = None
    """The result as JSON; null for a run without one."""
    device: str | None = None
    """`cpu` or `cuda`."""
    device_name: str | None = None
    """The GPU's model, where one was used."""
    versions: dict[str, str] | None = None
    """Software the run used."""
    job_id: str | None = None
    """The job; null for a run without a server."""
    duration_seconds: float | None = None
    """Wall-clock time of the latest attempt."""

    @property
    def why_not(self) -> str:
        """Cause and message of a failure; empty where there is neither."""
        return ": ".join(part for part in (self.cause, self.message) if part)

    @property
    def replicas(self) -> "list[tuple[int, dict[str, Any]]]":
        """Seed and result of each independent training: one a run, or one for each entry of its `replicas`."""
        if self.result is None:
            return []
        several: Sequence[dict[str, Any]] | None = self.result.get("replicas")
        if several is None:
            return [(self.seed, self.result)]
        return [(replica["seed"], replica) for replica in several]

    @property
    def without_collapsed(self) -> "RunOutcome":
        """The same run with the collapsed ones left out of its `replicas`."""
        if self.result is None or "replicas" not in self.result:
            return self
        learnt = [replica for replica in self.result["replicas"] if not replica.get("collapsed")]
        return self.model_copy(update={"result": {**self.result, "replicas": learnt}})
