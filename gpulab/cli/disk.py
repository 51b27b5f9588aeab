"""`gpulab disk`."""

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.session import Session, print_json, session_command
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.schemas import DiskRead

app = typer.Typer()


@session_command(app)
def disk(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of users, largest first.")] = 20,
) -> None:
    """Show where the disk goes: by user, kind and age. Admins see the whole lab, others what is theirs."""
    from gpulab.cli.tables import ago

    found = session.client.disk()
    if session.as_json:
        print_json(found)
        return
    print(f"Measured {ago(found.measured_at)} ago. Sizes as stored.")
    if found.places:
        print()
        _print_places(found)
    print()
    _print_users(found, limit)


def _print_places(found: "DiskRead") -> None:
    from gpulab.cli.tables import byte_size, print_table

    rows = [
        [
            place.place.replace("_", " "),
            place.node,
            byte_size(place.size_bytes),
            None if place.free_bytes is None else byte_size(place.free_bytes),
        ]
        for place in found.places
    ]
    print_table(["PLACE", "NODE", "SIZE", "FREE"], rows)


def _print_users(found: "DiskRead", limit: int) -> None:
    from gpulab.cli.tables import print_table
    from gpulab.schemas import DiskAge, DiskKind

    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    old: Counter[str] = Counter()
    for use in found.uses:
        kinds[use.user][use.kind] += use.size_bytes
        old[use.user] += use.by_age[DiskAge.OLDER]
    if not kinds:
        print("No user has stored anything yet." if found.places else "You have stored nothing yet.")
        return
    order = sorted(kinds, key=lambda user: -kinds[user].total())
    everybody = sum(kinds.values(), Counter())
    rows = [_row(user, kinds[user], old[user]) for user in order[:limit]]
    if len(order) > 1:
        rows.append(_row(f"all {len(order)} users", everybody, old.total()))
    print_table(["USER", "TOTAL", *(kind.upper() for kind in DiskKind), "OLDER THAN 90 DAYS"], rows)
    if len(order) > limit:
        print(f"{counted(len(order) - limit, 'more user')}; --limit shows them")


def _row(user: str, sizes: Counter[str], old_bytes: int) -> list[str | None]:
    from gpulab.cli.tables import byte_size
    from gpulab.schemas import DiskKind

    return [user, byte_size(sizes.total()), *(byte_size(sizes[kind]) for kind in DiskKind), byte_size(old_bytes)]
