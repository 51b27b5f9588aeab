"""What failed in the lab itself, on the wire."""

from datetime import datetime

from gpulab.schemas.base import Outgoing


class LabErrorRead(Outgoing):
    """Errors that are alike."""

    fingerprint: str
    process: str
    """`api`, `scheduler`, `worker`, `backup`, ..."""
    event: str
    """As in the log: `store.refused`."""
    message: str
    """Of the last one, without secrets."""
    host: str
    """Where the last one was: a node, or a machine's name."""
    is_warning: bool
    """Whether the lab went on by itself."""
    count: int
    first_at: datetime
    last_at: datetime
    advice: str
    """What to do."""


class LabErrorPage(Outgoing):
    items: list[LabErrorRead]
    """The last one seen first."""
