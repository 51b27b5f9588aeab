"""Finds every experiment without importing torch: the catalogue's own, and those of installed plug-ins.

A plug-in is a package with an entry point in the group `gpulab.experiments` whose value names an `Experiment`. One that
cannot be loaded is named in `broken()` and left out; the lab starts without it.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

import structlog

from experiments import catalog
from experiments.contract import Experiment

ENTRY_POINT_GROUP = "gpulab.experiments"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plug-in that could not be loaded, and why."""

    entry_point: str
    reason: str


@cache
def experiments() -> MappingProxyType[str, Experiment[Any, Any]]:
    """Every usable experiment by slug, in the order of the slugs."""
    found = {experiment.slug: experiment for experiment in _catalog()}
    for experiment in _plugins()[0]:
        found.setdefault(experiment.slug, experiment)
    return MappingProxyType(dict(sorted(found.items())))


def broken() -> tuple[BrokenPlugin, ...]:
    """The plug-ins that were left out."""
    return _plugins()[1]


def _catalog() -> list[Experiment[Any, Any]]:
    names = sorted(module.name for module in iter_modules(catalog.__path__) if module.ispkg)
    return [import_module(f"{catalog.__name__}.{name}.spec").EXPERIMENT for name in names]


@cache
def _plugins() -> tuple[tuple[Experiment[Any, Any], ...], tuple[BrokenPlugin, ...]]:
    loaded: list[Experiment[Any, Any]] = []
    failed: list[BrokenPlugin] = []
    taken = {experiment.slug for experiment in _catalog()}
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda found: found.name):
        try:
            experiment = entry_point.load()
            if not isinstance(experiment, Experiment):
                raise TypeError(f"{entry_point.value} is not an Experiment")
            if experiment.slug in taken:
                raise ValueError(f"the slug {experiment.slug!r} is taken")
        except Exception as error:  # noqa: BLE001 - a stranger's package may fail in any way; the lab must start
            log.warning("plugin.broken", entry_point=entry_point.name, reason=repr(error))
            failed.append(BrokenPlugin(entry_point.name, f"{type(error).__name__}: {error}"))
        else:
            taken.add(experiment.slug)
            loaded.append(experiment)
    return tuple(loaded), tuple(failed)
