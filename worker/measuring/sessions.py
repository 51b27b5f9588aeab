"""What a job's processes use, from /proc. A job leads its own session, and adopts what its processes leave behind: what
left the session has the job among its parents still.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Positions in /proc/<pid>/stat after the parenthesised name; proc_pid_stat(5) counts from 1 and from the pid.
_STATE, _PARENT, _UTIME, _STIME, _STARTTIME, _RSS = 0, 1, 11, 12, 19, 21
_CHILDREN_UTIME, _CHILDREN_STIME = 13, 14


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One live process at one moment."""

    pid: int
    started_ticks: int
    """Start since boot; with the pid it names the process, since pids are used again."""
    rss_bytes: int
    cpu_seconds: float
    """User and system time since it started, in steps of 10 ms on most kernels."""


def pids_by_session() -> Mapping[int, list[int]]:
    """Every session of the machine with its processes, zombies included."""
    sessions: dict[int, list[int]] = defaultdict(list)
    for name in os.listdir("/proc"):  # noqa: PTH208 - ten times a second; Path objects double the cost
        if name.isdigit():
            try:
                sessions[os.getsid(int(name))].append(int(name))
            except OSError:
                continue  # it ended between the listing and the question
    return sessions


class Families:
    """Which processes belong to which job."""

    def __init__(self) -> None:
        self._leaders: frozenset[int] = frozenset()
        self._owners: dict[int, int | None] = {}
        """Whose a session is: it is looked up when it is first seen."""

    def of(self, leaders: frozenset[int]) -> Mapping[int, list[int]]:
        """The processes of each of these session leaders, zombies included."""
        sessions = pids_by_session()
        known = self._owners if leaders == self._leaders else {}
        self._leaders = leaders
        self._owners = {}
        found: dict[int, list[int]] = defaultdict(list)
        for session, pids in sessions.items():
            try:
                owner = known[session] if session in known else _ancestor(pids[0], leaders)
            except (OSError, IndexError):
                continue  # a process on the way up has just ended, and its children have another parent next time
            self._owners[session] = owner
            if owner is not None:
                found[owner] += pids
        return found


def _ancestor(pid: int, leaders: frozenset[int]) -> int | None:
    """The first of `leaders` on the way up from a process; null where the top is reached. Raises `OSError` or
    `IndexError` where a process on the way ends.
    """
    seen: set[int] = set()
    while pid > 1 and pid not in seen:
        if pid in leaders:
            return pid
        seen.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[_PARENT])
    return None


@dataclass(frozen=True, slots=True)
class Tree:
    """A process and all that descend from it."""

    pids: tuple[int, ...]
    threads: int
    cpu_seconds: float
    """Of those that live and of those that they waited for."""


def tree_of(root: int, *, max_threads: int = 2**16) -> Tree:
    """Goes down from one process, so that it costs what is there; it stops beyond `max_threads`."""
    pids: list[int] = []
    threads, ticks, waiting = 0, 0, [root]
    while waiting and threads <= max_threads:
        pid = waiting.pop()
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            tasks = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - ten times a second; Path objects double the cost
            waiting += [int(child) for task in tasks for child in _children(pid, task)]
        except (OSError, IndexError):
            continue  # it ended meanwhile
        pids.append(pid)
        threads += len(tasks)
        ticks += sum(int(fields[at]) for at in (_UTIME, _STIME, _CHILDREN_UTIME, _CHILDREN_STIME))
    return Tree(tuple(pids), threads, ticks / _TICKS_PER_SECOND)


def _children(pid: int, task: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/task/{task}/children").read_bytes().split()
    except OSError:
        return []  # the thread ended, and the others have its children


def live_processes(pids: Iterable[int]) -> list[ProcessUse]:
    """Those of the processes that still run; one that is ending uses nothing and is left out."""
    return [use for use in map(_process_use, pids) if use is not None]


def cpu_percent(before: Iterable[ProcessUse], now: Iterable[ProcessUse], elapsed_seconds: float) -> float:
    """Share of one core used between two looks, above 100 for several cores. What ended in between is not counted."""
    earlier = {(use.pid, use.started_ticks): use.cpu_seconds for use in before}
    used = sum(use.cpu_seconds - earlier.get((use.pid, use.started_ticks), 0.0) for use in now)
    return round(100 * used / elapsed_seconds, 1)


def _process_use(pid: int) -> ProcessUse | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return use_from_stat(pid, text)


def use_from_stat(pid: int, text: bytes) -> ProcessUse | None:
    """What a line of /proc/<pid>/stat says; None for a process that has ended or is ending."""
    fields = text[text.rindex(b")") + 2 :].split()
    # A process gives up its memory before it turns into a zombie; what it holds then is no measurement.
    if fields[_STATE] in (b"Z", b"X") or fields[_RSS] == b"0":
        return None
    cpu_ticks = int(fields[_UTIME]) + int(fields[_STIME])
    return ProcessUse(
        pid=pid,
        started_ticks=int(fields[_STARTTIME]),
        rss_bytes=int(fields[_RSS]) * _PAGE_BYTES,
        cpu_seconds=cpu_ticks / _TICKS_PER_SECOND,
    )
