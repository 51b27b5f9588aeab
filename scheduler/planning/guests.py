"""Guests of lab hours: jobs of others on GPUs that are kept now. Those that can resume leave once the GPUs are needed.

Guests were there before the lab hours were set, or came when the GPUs were not used.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from scheduler.planning.cluster import LAB_HOURS, RESERVED, Ask, Cluster
from scheduler.planning.preempt import BUSY, Running
from scheduler.planning.room import GpuRoom, NodeRoom, large_enough
from scheduler.planning.terms import Needs, Plan, Waiting

FOR_WANT_OF_ROOM = {*BUSY, LAB_HOURS.reason, RESERVED.reason}


def leaving(
    made: Plan, running: Iterable[Running], rooms: Sequence[NodeRoom], *, now: float
) -> list[tuple[Waiting, Running]]:
    """Guests to be asked, each with a job of the lab hours that can start then. `rooms` are as `plan` left them."""
    able = list(running)
    kept = [[gpu for gpu in node.gpus if _guests_of(gpu, able, now)] for node in rooms]
    cluster, asks = Cluster(rooms, now), dict[Needs, Ask]()
    asked: dict[UUID, tuple[Waiting, Running]] = {}
    for job in made.waiting:
        if not any(kept):
            break
        if not job.needs.lab_hours or made.wait_of(job).reason not in FOR_WANT_OF_ROOM:
            continue
        ask = asks.setdefault(job.needs, cluster.ask(job.needs))
        for gpu in _take(kept, ask, job, now):
            for guest in _guests_of(gpu, able, now):
                asked.setdefault(guest.lease_token, (job, guest))
    return [(job, guest) for job, guest in asked.values() if not guest.yielding]


def _take(kept: Iterable[list[GpuRoom]], ask: Ask, job: Waiting, now: float) -> list[GpuRoom]:
    """GPUs of one node, taken out of `kept`, on which the job can start once their guests have left."""
    until = now + job.time_limit_seconds
    for gpus in kept:
        found = [gpu for gpu in gpus if _is_for(gpu, ask, now, until)][: ask.count]
        if ask.count and len(found) == ask.count:
            gpus[:] = [gpu for gpu in gpus if gpu not in found]
            return found
    return []


def _is_for(gpu: GpuRoom, ask: Ask, now: float, until: float) -> bool:
    lab_hours = ask.needs.lab_hours
    is_theirs = gpu.is_kept_for(lab_hours, now) and not gpu.is_barred(now, until, lab_hours)
    return is_theirs and large_enough(gpu, ask.least_bytes)


def _guests_of(gpu: GpuRoom, running: Iterable[Running], now: float) -> list[Running]:
    """The guests, if all of them can resume and nobody else is there."""
    kept = next((each.lab_hours for each in gpu.kept if each.start <= now < each.end), None)
    if kept is None:
        return []
    guests = [each for each in running if gpu.uuid in each.gpu_uuids and kept not in each.lab_hours]
    return guests if len(guests) == len(gpu.stays) else []
