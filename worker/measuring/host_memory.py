"""The memory of the machine: how much of it one job may hold, and what the kernel did for want of it."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
SHARED_OUT = 0.8
"""Of the machine, for jobs; the rest is for the worker, the system and its cache of files."""
MAX_SHARES = 2
"""On a machine with many slots few jobs are large: each may still take a good part."""


@dataclass(frozen=True, slots=True)
class HostBreach:
    """A job holds more of the machine's memory than it may."""

    used_bytes: int
    limit_bytes: int

    def __str__(self) -> str:
        used, limit = (f"{size / 2**30:.2f} GiB" for size in (self.used_bytes, self.limit_bytes))
        held = f"it used {used} of the machine's memory, and the limit of a job is {limit}"
        return f"{held}: the lab ended it to protect other jobs"


def limit_of_job(configured: int | None, slots: int, machine_bytes: int) -> int:
    """What the processes of one job may hold together. 0 configured is no limit."""
    if configured is not None:
        return configured
    return int(machine_bytes * SHARED_OUT / min(max(slots, 1), MAX_SHARES))


def memory_of_machine(proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """What there is of it, or what a container around this process may take."""
    return min([_total(proc), *_limits_of_container(proc, cgroups)])


def proportional_bytes(pids: Iterable[int], proc: Path = PROC) -> int:
    """What processes hold together, each page that several share counted once among them.

    Pages of mapped files are left out: the kernel takes them back when it needs room.
    """
    return sum(_proportional(proc / str(pid) / "smaps_rollup") for pid in pids)


def oom_kills(proc: Path = PROC) -> int:
    """How many processes the kernel ended for want of memory since the machine started; 0 where it does not count."""
    return _number(proc / "vmstat", "oom_kill")


def _total(proc: Path) -> int:
    return _number(proc / "meminfo", "MemTotal:") * 1024


def _proportional(path: Path) -> int:
    sizes = _numbers(path)
    # A kernel before 5.4 reports only the total.
    held = sizes.get("Pss_Anon:", sizes.get("Pss:", 0))
    return (held + sizes.get("Pss_Shmem:", 0)) * 1024


def _number(path: Path, name: str) -> int:
    return _numbers(path).get(name, 0)


def _numbers(path: Path) -> dict[str, int]:
    """The first number after each name; empty where the file cannot be read."""
    with suppress(OSError):
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}
    return {}


def _limits_of_container(proc: Path, cgroups: Path) -> Iterator[int]:
    """Of every group of control groups that this process is in, both versions."""
    groups = []
    with suppress(OSError):
        groups = [line.split(":", 2) for line in (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()]
    for _, controllers, place in groups:
        if controllers == "":
            root, name = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        inner = root / place.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(root):
                with suppress(OSError, ValueError):  # "max", or not ours to see
                    yield int((folder / name).read_text(encoding="utf-8"))
