"""How busy the GPUs were, in cells of time: the same for everybody, read once for all who look."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.limits.shared_answer import SharedAnswer
from api.sql.database import Database, Row
from api.timeline import statements

MAX_CELLS = 240
MINUTE_SECONDS = 60
MAX_HOURS = 168
FRESH_SECONDS = 10.0
Series = list[int | None]


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time up to now, in cells of whole minutes."""

    start: datetime
    cell_seconds: int
    cells: int

    @classmethod
    def of(cls, hours: int, now: float) -> "Window":
        seconds = hours * 3600
        cell = MINUTE_SECONDS * math.ceil(seconds / MAX_CELLS / MINUTE_SECONDS)
        start = math.floor((now - seconds) / cell) * cell
        return cls(datetime.fromtimestamp(start, UTC), cell, math.floor((now - start) / cell) + 1)

    def spread(self, cells: Sequence[int], values: Sequence[Any]) -> Series:
        """A value for each cell, null where nothing was read."""
        series: Series = [None] * self.cells
        for cell, value in zip(cells, values, strict=True):
            # The clock of the database may be ahead of ours.
            if cell < self.cells and value is not None:
                series[cell] = round(value)
        return series


@dataclass(frozen=True, slots=True)
class History:
    window: Window
    rows: dict[str, Row]
    """By the UUID of the GPU."""

    def series(self, gpu_uuid: str, name: str) -> Series:
        """A whole number for each cell, null where nothing was read."""
        row = self.rows.get(gpu_uuid)
        return self.window.spread(*((), ()) if row is None else (row.cells, getattr(row, name)))


class Readings:
    """The newest history of the lab for each length that is asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: dict[int, SharedAnswer[History]] = {}

    async def of_lab(self, hours: int) -> History:
        """At most `MAX_HOURS` lengths are ever asked for."""
        answer = self._answers.setdefault(hours, SharedAnswer(FRESH_SECONDS))
        return await answer.get(lambda: self.read(hours))

    async def read(self, hours: int, node: str | None = None) -> History:
        window = Window.of(hours, time.time())
        of_node = {} if node is None else {"node": node}
        rows = await self._database.rows(
            statements.readings, since=window.start, cell_seconds=float(window.cell_seconds), **of_node
        )
        return History(window, {row.gpu_uuid: row for row in rows})
