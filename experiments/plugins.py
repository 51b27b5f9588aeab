"""Loads what installed packages add to the lab, by their entry points.

One that cannot be loaded is named with its reason and left out: the lab starts without it.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plug-in that could not be loaded, and why."""

    entry_point: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plugins(Generic[T]):
    """What the entry points of one group named."""

    loaded: tuple[T, ...]
    broken: tuple[BrokenPlugin, ...]


def load(group: str, kind: type[T], slug_of: Callable[[T], str], taken: Container[str] = ()) -> Plugins[T]:
    """Every object of `kind` that an entry point of the group names, each slug once, in the order of their names."""
    loaded: dict[str, T] = {}
    broken: list[BrokenPlugin] = []
    for entry_point in sorted(entry_points(group=group), key=lambda found: found.name):
        try:
            found = entry_point.load()
            if not isinstance(found, kind):
                raise TypeError(f"{entry_point.value} is not {_article(kind)} {kind.__name__}")
            slug = slug_of(found)
            if slug in taken or slug in loaded:
                raise ValueError(f"the slug {slug!r} is taken")
        except Exception as error:  # noqa: BLE001 - a stranger's package may fail in any way; the lab must start
            log.warning("plugin.broken", group=group, entry_point=entry_point.name, reason=repr(error))
            broken.append(BrokenPlugin(entry_point.name, f"{type(error).__name__}: {error}"))
        else:
            loaded[slug] = found
    return Plugins(tuple(loaded.values()), tuple(broken))


def _article(kind: type) -> str:
    return "an" if kind.__name__[0] in "AEIOU" else "a"
