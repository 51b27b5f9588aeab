"""What the ids in events are called today. Events keep ids alone, since names change."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from api.audit import statements
from api.sql.database import Database


async def names_of(database: Database, targets: Iterable[str | None]) -> dict[str, str]:
    """The names of targets such as `user:<id>` and `node:<name>`, if they have one: one read for each kind of thing."""
    ids = defaultdict(set)
    found: dict[str, str] = {}
    for target in {target for target in targets if target}:
        kind, _, key = target.partition(":")
        if kind in statements.NAMED and (uuid := _uuid(key)) is not None:
            ids[kind].add(uuid)
        elif kind == "node":
            found[target] = key
    for kind, of_kind in ids.items():
        rows = await database.rows(statements.names, kind=kind, ids=sorted(of_kind))
        found |= {f"{kind}:{row.id}": row.name for row in rows if row.name}
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
