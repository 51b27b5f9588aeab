"""Measures where the disk goes."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from api.auth.principal import Principal
from api.context import App
from api.disk import statements
from api.sql.database import Row
from gpulab.schemas import DiskAge, DiskKind, DiskPlace, DiskPlaceRead, DiskRead, DiskUseRead
from models.folders import folder_use
from models.statements import nodes


async def read(app: App, principal: Principal) -> DiskRead:
    if principal.is_admin:
        return await of_lab(app)
    return DiskRead(measured_at=datetime.now(UTC), uses=await _uses(app, principal.id), places=[])


async def of_lab(app: App) -> DiskRead:
    """The newest measurement; a new one if it is old."""
    return await app.disk.get(lambda: _measure(app))


async def _measure(app: App) -> DiskRead:
    measured_at = datetime.now(UTC)
    places = [*await _of_database(app), *await _of_lab_folder(app), *await _of_nodes(app)]
    return DiskRead(measured_at=measured_at, uses=await _uses(app, None), places=places)


async def _uses(app: App, user_id: UUID | None) -> list[DiskUseRead]:
    sizes: defaultdict[tuple[UUID, str, str], dict[DiskAge, int]] = defaultdict(dict)
    rows: list[Row] = list(await app.database.rows(statements.uses, user_id=user_id))
    for row in rows:
        sizes[row.user_id, row.name, row.kind][DiskAge(row.age)] = int(row.size_bytes)
    found = [
        DiskUseRead(
            user_id=user,
            user=name,
            kind=DiskKind(kind),
            size_bytes=sum(by_age.values()),
            by_age={age: by_age.get(age, 0) for age in DiskAge},
        )
        for (user, name, kind), by_age in sizes.items()
    ]
    return sorted(found, key=lambda use: (-use.size_bytes, use.user, use.kind))


async def _of_database(app: App) -> list[DiskPlaceRead]:
    size = await app.database.scalar(statements.database_bytes)
    may = await app.database.scalar(statements.may_read_wal)
    wal = int(await app.database.scalar(statements.wal_bytes)) if may else None
    return [_place(DiskPlace.DATABASE, size), _place(DiskPlace.WRITE_AHEAD_LOG, wal)]


async def _of_lab_folder(app: App) -> list[DiskPlaceRead]:
    folders = {DiskPlace.BACKUPS: app.settings.backup_folder}
    if app.settings.lab_folder is not None:
        folders[DiskPlace.PROCESS_LOGS] = app.settings.lab_folder / "logs"
    return await asyncio.to_thread(_measured, {place: folder for place, folder in folders.items() if folder})


def _measured(folders: dict[DiskPlace, Path]) -> list[DiskPlaceRead]:
    return [
        _place(place, use.size_bytes, free_bytes=use.free_bytes)
        for place, folder in folders.items()
        if (use := folder_use(folder)) is not None
    ]


async def _of_nodes(app: App) -> list[DiskPlaceRead]:
    """The folders of the workers that are heard of."""
    rows = await app.database.rows(nodes.overview, silence_seconds=app.settings.lease_seconds)
    return [
        _place(place, row.folders[place]["size_bytes"], node=row.name, free_bytes=row.folders[place]["free_bytes"])
        for row in rows
        if not row.down
        for place in (DiskPlace.RUNS, DiskPlace.CACHE)
        if place in row.folders
    ]


def _place(
    place: DiskPlace, size: int | None, *, node: str | None = None, free_bytes: int | None = None
) -> DiskPlaceRead:
    return DiskPlaceRead(place=place, node=node, size_bytes=size, free_bytes=free_bytes)
