"""What the lab's machines are, as far as predicting memory needs it, looked up every few seconds at most."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from api.database import Database, Row
from experiments.catalog.memory_estimate.spec import GpuAsked
from experiments.memory.contract import Constants
from models.statements import estimates
from models.versions import software

FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Hardware:
    software: str
    """The versions that most nodes have; empty before the first node came."""
    gpus: tuple[GpuAsked, ...]
    """Each model of the lab once, by name; twice where its software differs and its constants were measured."""


class KnownHardware:
    def __init__(self, database: Database, *, silence_seconds: float) -> None:
        self._database = database
        self._statement = estimates.hardware(silence_seconds)
        self._known = Hardware("", ())
        self._looked_at = -FRESH_SECONDS

    async def now(self) -> Hardware:
        """The machines as they were at most `FRESH_SECONDS` ago."""
        if time.monotonic() - self._looked_at > FRESH_SECONDS:
            self._known = described(await self._database.rows(self._statement))
            self._looked_at = time.monotonic()
        return self._known


def measured(constants: dict[str, Any] | None) -> Constants | None:
    """What a node measured; null also where another version of the lab wrote something else."""
    try:
        return None if constants is None else Constants.model_validate(constants)
    except ValidationError:
        return None


def described(rows: Sequence[Row]) -> Hardware:
    """Of the nodes that are heard of; of all where none is."""
    rows = [row for row in rows if row.heard] or rows
    installed = Counter(software(row.versions) for row in rows)
    gpus = {
        asked.key: asked
        for row in rows
        if row.name is not None and row.memory_total_bytes
        for asked in [GpuAsked(name=row.name, total_bytes=row.memory_total_bytes, constants=measured(row.constants))]
    }
    return Hardware(installed.most_common(1)[0][0] if installed else "", tuple(gpus.values()))
