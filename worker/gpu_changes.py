"""What became of a node's GPUs between two starts of its worker: pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emulator.cards import EMULATED_PREFIX

NOT_FOUND = "not found when the worker started"
MIG_PREFIX = "MIG-"
UNKNOWN_PREFIX = "unknown-"
Row = Mapping[str, Any]
"""Of a GPU, by column."""


@dataclass(slots=True)
class GpuChanges:
    """Rows of GPUs, by what became of them."""

    gone: list[Row] = field(default_factory=list)
    """Switched off: emulated cards, MIG instances, GPUs that are divided into MIG instances now."""
    missing: list[Row] = field(default_factory=list)
    """Cards that the driver does not list any more: taken out, or broken."""
    new: list[Row] = field(default_factory=list)

    @property
    def words(self) -> str:
        """One sentence for the node's history; empty where nothing changed."""
        kinds = ((self.gone, "gone"), (self.missing, "missing"), (self.new, "new"))
        return "; ".join(f"{verb}: {', '.join(map(_words, found))}" for found, verb in kinds if found)


def changes(before: Sequence[Row], now: Sequence[Row], divided: Collection[str]) -> GpuChanges:
    """`before` and `now` are rows of GPUs; `divided` are the UUIDs of those that MIG divides now.

    A node's first start changes nothing, and a card that was missing before is not named again. Cards in whose place
    there are as many others were exchanged, and nobody misses them.
    """
    found = GpuChanges()
    listed = {gpu["uuid"] for gpu in now}
    for gpu in before:
        if gpu["uuid"] in listed:
            continue
        if _is_configured(gpu) or gpu["uuid"] in divided:
            found.gone.append(gpu)
        elif not (gpu["reason"] or "").startswith(NOT_FOUND):
            found.missing.append(gpu)
    if before:
        known = {gpu["uuid"] for gpu in before}
        found.new = [gpu for gpu in now if gpu["uuid"] not in known]
    if len(found.missing) <= sum(1 for gpu in found.new if gpu["healthy"] and not _is_configured(gpu)):
        found.gone += found.missing
        found.missing = []
    return found


def _is_configured(gpu: Row) -> bool:
    """Whether a setting made it: its end is no loss."""
    name, uuid = str(gpu["name"]), str(gpu["uuid"])
    return name.startswith(EMULATED_PREFIX) or uuid.startswith((MIG_PREFIX, UNKNOWN_PREFIX))


def _words(gpu: Row) -> str:
    return f"GPU {gpu['index']} ({gpu['name']}, {gpu['uuid']})"
