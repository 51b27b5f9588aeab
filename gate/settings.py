"""What the gate reads from the environment."""

from collections.abc import Mapping

from pydantic import Field

from models.settings import Settings

SHARED = ("lease_seconds", "heartbeat_seconds", "max_lost_attempts", "max_artifact_bytes")


class GateSettings(Settings):
    clock_skew_limit_seconds: float = Field(default=10.0, ge=0)
    """As the scheduler has it: beyond it a node gets no jobs."""

    @property
    def shared(self) -> Mapping[str, str]:
        """The settings that a worker on another machine must have as this lab has them."""
        given = {name: getattr(self, name) for name in SHARED}
        return {f"GPULAB_{name.upper()}": str(value) for name, value in given.items() if value is not None}
