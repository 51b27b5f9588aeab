"""One thread that looks at every GPU and every watched job, ten times a second by default.

It runs in the worker's parent, so that a busy or dying job cannot disturb its own measurement, and appends what it sees
to `samples.ndjson` in the job's folder. docs/measuring.md describes the lines.
"""

import json
import math
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

from experiments.contract import SAMPLES_FILE
from gpulab.threads import VitalThread
from sandbox import MigInstance
from worker.measuring.host_memory import HostBreach, proportional_bytes
from worker.measuring.nvml import GpuReading, Nvml, NvmlAbsent, Reason
from worker.measuring.sessions import Families, ProcessUse, cpu_percent, live_processes

T = TypeVar("T")

MAX_HZ = 100
BREACH_READINGS = 3
"""Successive readings above the reservation that count as a breach: one alone may be a passing peak."""
LOOKING_SHARE = 5.0
"""Pause between two exact looks at a job's memory, as a multiple of what the last one took."""
NO_PROCESS = "no_process"
"""The driver lists no process of the job: it has no CUDA context yet, or the driver hides it (containers)."""
FIRST_READING = "first_reading"
"""A rate needs two readings."""
GPU_VALUES = ("device_used_bytes", "utilization_percent", "power_watts", "temperature_celsius", "energy_joules")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Breach:
    """A job holds more of a GPU's memory than it reserved."""

    job_id: str
    gpu_uuid: str
    process_used_bytes: int
    reserved_bytes: int
    device_used_bytes: int | None
    device_total_bytes: int | None
    time: float
    """Unix seconds of the reading that decided."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A job to sample."""

    job_id: str
    folder: Path
    """The run directory; it must exist."""
    pid: int
    """The job's session leader."""
    gpu_uuids: tuple[str, ...]
    reserved_bytes: int | None
    """On each of its GPUs; None for no limit."""
    on_breach: Callable[[Breach], None] | None
    """Called at most once, in the sampler's thread; it must not block."""
    host_limit_bytes: int | None = None
    """Of the machine's memory, for its processes together; None for no limit."""
    on_host_breach: Callable[[HostBreach], None] | None = None
    """As `on_breach`."""


class Sampler:
    """`start` it once; `watch` and `unwatch` from any thread."""

    def __init__(self, nvml: Nvml | NvmlAbsent, hz: float = 10.0, clock: Callable[[], float] = time.time) -> None:
        if not 0 < hz <= MAX_HZ:
            raise ValueError(f"hz must be above 0 and at most {MAX_HZ}, got {hz}")
        self._nvml = nvml if isinstance(nvml, Nvml) else None
        self._gpu_uuids = [gpu.uuid for gpu in self._nvml.gpus()] if self._nvml else []
        self._period_seconds = 1 / hz
        self._clock = clock
        self._lock = threading.Lock()
        self._watches: dict[str, _Watch] = {}
        self._families = Families()
        self._latest: dict[str, GpuReading] = {}
        self._failures: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread = VitalThread("sampler", self._run, until=self._stopping)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """End the thread. One that hangs in the driver is left behind as a daemon."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        for job_id in list(self._watches):
            self.unwatch(job_id)

    def watch(self, watched: Watched) -> None:
        """Sample a job from the next tick on. Raises ValueError when it is watched already."""
        with self._lock:
            if watched.job_id in self._watches:
                raise ValueError(f"job {watched.job_id} is watched already")
            self._watches[watched.job_id] = _Watch(watched)

    def unwatch(self, job_id: str) -> None:
        """Stop sampling a job; once this returns, nothing more is written to its folder. Unknown jobs are ignored."""
        with self._lock:
            watch = self._watches.pop(job_id, None)
            self._failures.pop(job_id, None)
            if watch is not None:
                watch.close()

    def latest(self) -> dict[str, GpuReading]:
        """The newest reading of every GPU; its `time` shows how old it is."""
        return dict(self._latest)

    def gpu_faults(self, gpu_uuids: Sequence[str]) -> dict[str, str]:
        """What the driver says is wrong with these GPUs at this moment, in words, by UUID."""
        if self._nvml is None:
            return {}
        return {uuid: fault for uuid in gpu_uuids if (fault := self._nvml.read(uuid).fault)}

    def mig_instances(self, gpu_uuids: Sequence[str]) -> dict[str, MigInstance]:
        """Those of the GPUs that are parts of one, by UUID."""
        if self._nvml is None:
            return {}
        found = {uuid: self._nvml.mig_instance(uuid) for uuid in gpu_uuids}
        return {uuid: instance for uuid, instance in found.items() if instance is not None}

    def tick(self) -> None:
        """Look once at everything. The thread does this; so may a test that has not started it."""
        self._latest = self._read_gpus()
        now = self._clock()
        breaches: list[tuple[Watched, Breach | HostBreach]] = []
        with self._lock:
            families = self._families.of(frozenset(watch.watched.pid for watch in self._watches.values()))
            for job_id, watch in self._watches.items():
                pids = families.get(watch.watched.pid, [])
                found = self._guarded(job_id, watch.sample, now, pids, self._latest)
                breaches += [(watch.watched, breach) for breach in found or ()]
        for watched, breach in breaches:
            if isinstance(breach, HostBreach) and watched.on_host_breach is not None:
                self._guarded(watched.job_id, watched.on_host_breach, breach)
            if isinstance(breach, Breach) and watched.on_breach is not None:
                self._guarded(watched.job_id, watched.on_breach, breach)

    def _read_gpus(self) -> dict[str, GpuReading]:
        """Called without the lock, since a sick GPU can hold its reader for seconds."""
        if self._nvml is None:
            return {}
        readings = {uuid: self._guarded(uuid, self._nvml.read, uuid) for uuid in self._gpu_uuids}
        return {uuid: reading for uuid, reading in readings.items() if reading is not None}

    def _guarded(self, subject: str, action: Callable[..., T], *args: Any) -> T | None:
        """Whatever goes wrong with one GPU or one job, the others are sampled on."""
        try:
            return action(*args)
        except Exception as error:
            if self._failures.get(subject) != repr(error):  # say it once, not ten times a second
                self._failures[subject] = repr(error)
                log.exception("sampler.failed", subject=subject)
            return None

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            self._guarded("tick", self.tick)
            due = next_due(due, self._period_seconds, time.monotonic())


def next_due(due: float, period_seconds: float, now: float) -> float:
    """The next moment of the grid that `due` lies on: no drift, and no burst to make up for missed ticks."""
    return due + period_seconds * max(1, math.ceil((now - due) / period_seconds))


class _Watch:
    """One job's file, and what its next sample must be compared with."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self._file = _open_regular(watched.folder / SAMPLES_FILE)
        self._is_failing = False
        self._before: list[ProcessUse] = []
        self._before_seconds = 0.0
        self._readings_over = dict.fromkeys(watched.gpu_uuids, 0)
        self._breached = False
        self._host_breached = False
        self._look_closer_at = 0.0

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)

    def sample(self, now: float, pids: Sequence[int], readings: Mapping[str, GpuReading]) -> list[Breach | HostBreach]:
        """Append one line for the processes and one for each of the job's GPUs; report a breach when it is complete."""
        live = live_processes(pids)
        if live:
            self._write(now, "host", *self._host(live))
        breaches: list[Breach | HostBreach] = [*self._host_breach(live)]
        for uuid in self.watched.gpu_uuids:
            if uuid in readings:
                values, reasons = _gpu(readings[uuid], [use.pid for use in live])
                self._write(now, "gpu", values, reasons, gpu=uuid)
                breaches += self._breach(now, readings[uuid], values["process_used_bytes"])
        return breaches

    def _host(self, live: list[ProcessUse]) -> tuple[dict[str, Any], dict[str, str]]:
        seconds = time.monotonic()
        percent = cpu_percent(self._before, live, seconds - self._before_seconds) if self._before else None
        self._before, self._before_seconds = live, seconds
        values = {
            "rss_bytes": sum(use.rss_bytes for use in live),
            "cpu_percent": percent,
            "processes": len(live),
        }
        return values, {} if percent is not None else {"cpu_percent": FIRST_READING}

    def _host_breach(self, live: list[ProcessUse]) -> Iterator[HostBreach]:
        """Resident sizes count shared pages again and again: where they are too large, the exact size decides."""
        limit = self.watched.host_limit_bytes
        if not limit or self._host_breached or sum(use.rss_bytes for use in live) <= limit:
            return
        now = time.monotonic()
        if now < self._look_closer_at:
            return
        used = proportional_bytes(use.pid for use in live)
        self._host_breached = used > limit
        if self._host_breached:
            yield HostBreach(used, limit)
        # What it costs to look grows with what there is to see.
        self._look_closer_at = time.monotonic() + LOOKING_SHARE * (time.monotonic() - now)

    def _breach(self, now: float, reading: GpuReading, used: int | None) -> list[Breach]:
        uuid, reserved = reading.uuid, self.watched.reserved_bytes
        if reserved is None or used is None or self._breached:
            return []
        self._readings_over[uuid] = self._readings_over[uuid] + 1 if used > reserved else 0
        self._breached = self._readings_over[uuid] == BREACH_READINGS
        if not self._breached:
            return []
        device = reading.device_used_bytes, reading.device_total_bytes
        return [Breach(self.watched.job_id, uuid, used, reserved, *device, now)]

    def _write(self, now: float, source: str, values: dict[str, Any], reasons: dict[str, str], **more: str) -> None:
        """Append one line. A disk that takes none costs the line, and never the look for a breach."""
        if self._file is None:
            return
        line = {"time": now, "source": source, **more, "values": values, "reasons": reasons}
        text = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._file, text)
            if written < len(text):  # a full disk; half a line must not spoil the next one
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
        except OSError as error:
            if not self._is_failing:
                log.warning("samples.not_written", job_id=self.watched.job_id, reason=str(error))
            self._is_failing = True
        else:
            self._is_failing = False


def _open_regular(path: Path) -> int | None:
    """The file to append to; null where there can be none. The run may have put anything in its place."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        log.warning("samples.not_opened", path=str(path), reason=str(error))
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    log.warning("samples.not_opened", path=str(path), reason="it is not a regular file")
    return None


def _gpu(reading: GpuReading, pids: Sequence[int]) -> tuple[dict[str, Any], dict[str, str]]:
    every = reading.values()
    used, reason = _process_used(reading, pids)
    values = {name: every[name] for name in GPU_VALUES} | {"process_used_bytes": used}
    reasons = {name: reading.reasons[name] for name in GPU_VALUES if every[name] is None}
    if reason is not None:
        reasons["process_used_bytes"] = reason
    return values, reasons


def _process_used(reading: GpuReading, pids: Sequence[int]) -> tuple[int | None, str | None]:
    """The job's own share of a GPU, or why it is not known. A sum with a missing part is not known."""
    if reading.processes is None:
        return None, reading.reasons["processes"]
    own = [reading.processes[pid] for pid in pids if pid in reading.processes]
    if not own:
        return None, reading.reasons.get("processes", NO_PROCESS)
    known = [used for used in own if used is not None]
    return (sum(known), None) if len(known) == len(own) else (None, Reason.NOT_AVAILABLE)
