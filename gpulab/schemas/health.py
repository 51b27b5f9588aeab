"""How the lab is, on the wire."""

from gpulab.schemas.base import Outgoing


class HealthRead(Outgoing):
    status: str
    """`ok`."""


class ReadyRead(Outgoing):
    status: str
    """`ready`."""
    checks: dict[str, str]
    """Each part and what was found."""
