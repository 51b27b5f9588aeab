"""Finds every experiment without importing torch: the catalogue's, those of installed plug-ins, and the lab's own.

A plug-in is a package with an entry point in the group `gpulab.experiments` whose value names an `Experiment`.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType, ModuleType
from typing import Any

from experiments import catalog, internal
from experiments.contract import Experiment
from experiments.plugins import BrokenPlugin, Plugins, load

ENTRY_POINT_GROUP = "gpulab.experiments"

Experiments = MappingProxyType[str, Experiment[Any, Any]]


@cache
def experiments() -> Experiments:
    """Every experiment that a user can submit, by slug, in the order of the slugs."""
    return _by_slug(*_within(catalog), *_plugins().loaded)


@cache
def runnable() -> Experiments:
    """The same, and those that only the lab itself submits."""
    return _by_slug(*experiments().values(), *_within(internal))


def broken() -> tuple[BrokenPlugin, ...]:
    """The plug-ins that were left out."""
    return _plugins().broken


def _by_slug(*found: Experiment[Any, Any]) -> Experiments:
    return MappingProxyType({one.slug: one for one in sorted(found, key=lambda one: one.slug)})


@cache
def _within(package: ModuleType) -> tuple[Experiment[Any, Any], ...]:
    names = sorted(module.name for module in iter_modules(package.__path__) if module.ispkg)
    return tuple(import_module(f"{package.__name__}.{name}.spec").EXPERIMENT for name in names)


@cache
def _plugins() -> Plugins[Experiment[Any, Any]]:
    taken = {experiment.slug for experiment in (*_within(catalog), *_within(internal))}
    return load(ENTRY_POINT_GROUP, Experiment, lambda experiment: experiment.slug, taken)
