"""What the lab's machines are, as far as predicting memory needs it, looked up every few seconds at most."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from api.sql.database import Database, Row
from experiments.memory.devices import GpuAsked, models_called
from gpulab.schemas.memory import Constants
from models.statements.memory import estimates
from models.versions import software

FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Hardware:
    software: str
    """The versions that most nodes have; empty before the first node came."""
    gpus: tuple[GpuAsked, ...]
    """Each model of the lab once, by name; twice where its software differs and its constants were measured."""
    away: tuple[GpuAsked, ...] = ()
    """Those that a node measured which is not heard of now, or has another GPU now."""

    def called(self, name: str) -> list[GpuAsked]:
        """The GPUs of the lab that a name stands for: a driver's, or a model's; those that are away where none is."""
        models = set(models_called(name))
        return [gpu for gpu in self.gpus if _is_called(gpu, name, models)] or [
            gpu for gpu in self.away if _is_called(gpu, name, models)
        ]


class KnownHardware:
    def __init__(self, database: Database, *, silence_seconds: float) -> None:
        self._database = database
        self._silence_seconds = silence_seconds
        self._known = Hardware("", ())
        self._looked_at = -FRESH_SECONDS

    async def now(self) -> Hardware:
        """The machines as they were at most `FRESH_SECONDS` ago."""
        if time.monotonic() - self._looked_at > FRESH_SECONDS:
            self._known = described(
                await self._database.rows(estimates.hardware, silence_seconds=self._silence_seconds)
            )
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
    here = [row for row in rows if row.heard] or rows
    installed = Counter(software(row.versions) for row in here)
    gpus, everywhere = _gpus([row for row in here if not row.gone]), _gpus(rows)
    away = tuple(gpu for key, gpu in everywhere.items() if key not in gpus and gpu.constants is not None)
    return Hardware(installed.most_common(1)[0][0] if installed else "", tuple(gpus.values()), away)


def _gpus(rows: Sequence[Row]) -> dict[str, GpuAsked]:
    return {
        asked.key: asked
        for row in rows
        if row.name is not None and row.memory_total_bytes
        for asked in [GpuAsked(name=row.name, total_bytes=row.memory_total_bytes, constants=measured(row.constants))]
    }


def _is_called(gpu: GpuAsked, name: str, models: set[str]) -> bool:
    return gpu.name == name or not models.isdisjoint(models_called(gpu.name))
