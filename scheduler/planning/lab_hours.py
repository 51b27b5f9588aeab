"""Which GPUs are kept free for lab hours, and when they are open to all again. Pure, and worked out anew in each plan.

No job starts on a kept GPU that could run into lab hours. So a GPU that was kept stays free, and is chosen again.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from scheduler.planning.room import GpuRoom, Kept, NodeRoom, Stay
from scheduler.planning.terms import LabHours

Rank = tuple[float, bool]


def keep_free(lab_hours: Iterable[LabHours], nodes: Sequence[NodeRoom], now: float) -> None:
    """Mark the GPUs of each occurrence that is not over. Those that ask for a node choose first.

    A node that takes no jobs has none to keep. Where fewer GPUs are left than asked for, those are kept.
    """
    coming = (each for each in lab_hours if each.end > now)
    for each in sorted(coming, key=lambda one: (one.node is None, one.start, one.id)):
        for gpu in _chosen(each, nodes):
            gpu.kept.append(Kept(each.start, each.end, each.id))


def give_back(lab_hours: Iterable[LabHours], nodes: Iterable[NodeRoom], now: float, wanted: Collection[UUID]) -> None:
    """Open GPUs to all of whose lab hours the first part is over, if no job of theirs is there or is `wanted`."""
    idle = {each.id for each in lab_hours if each.start + each.give_back_seconds <= now < each.end} - set(wanted)
    for gpu in (gpu for node in nodes for gpu in node.gpus if gpu.kept):
        gpu.kept = [kept for kept in gpu.kept if not (kept.lab_hours in idle and _is_unused(gpu, kept, now))]


def _is_unused(gpu: GpuRoom, kept: Kept, now: float) -> bool:
    return kept.start <= now and not any(kept.lab_hours in stay.lab_hours for stay in gpu.stays)


def _chosen(hours: LabHours, nodes: Sequence[NodeRoom]) -> Sequence[GpuRoom]:
    """GPUs of one node if it has enough, else of several; first those that are free soonest."""
    places = [
        sorted(
            (gpu for gpu in node.gpus if not _is_kept_meanwhile(gpu, hours)),
            key=lambda gpu: (_rank(gpu, hours), gpu.uuid),
        )
        for node in nodes
        if not node.draining and hours.node in (None, node.name)
    ]
    if hours.gpus is None:
        return [gpu for gpus in places for gpu in gpus]
    large = [gpus for gpus in places if len(gpus) >= hours.gpus]
    if large:
        return min(
            (gpus[: hours.gpus] for gpus in large), key=lambda gpus: [_rank(gpu, hours) for gpu in reversed(gpus)]
        )
    return sorted((gpu for gpus in places for gpu in gpus), key=lambda gpu: _rank(gpu, hours))[: hours.gpus]


def _is_kept_meanwhile(gpu: GpuRoom, hours: LabHours) -> bool:
    return any(kept.start < hours.end and kept.end > hours.start for kept in gpu.kept)


def _rank(gpu: GpuRoom, hours: LabHours) -> Rank:
    """How long others are in the way; and of equals those first that the lab hours use already."""
    meanwhile = [stay for stay in gpu.stays if stay.start < hours.end and stay.end > hours.start]
    others = [stay.end for stay in meanwhile if not _is_theirs(stay, hours)]
    return max(others, default=0.0), len(others) == len(meanwhile)


def _is_theirs(stay: Stay, hours: LabHours) -> bool:
    """Whether the job uses the lab hours. One that began before them does not."""
    return stay.start >= hours.start and hours.id in stay.lab_hours
