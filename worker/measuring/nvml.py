"""Reading GPUs through NVML: with `driver.py` the only module that knows pynvml.

Every number is what the driver says or None with a reason, never zero for "unknown", and a broken GPU never hides the
others. GPUs are known by their UUID. docs/measuring.md says what each reading means and when it is null.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from ctypes import c_void_p, cast
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import pynvml

from sandbox import MigInstance
from worker.measuring.driver import absence, old_distribution

T = TypeVar("T")

# Far beyond any GPU, and far below the sentinels that drivers give for "none".
MAX_POWER_WATTS, MAX_TEMPERATURE_CELSIUS = 10_000, 200

APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""What a program's own mistakes cause, such as an illegal address (31); every other Xid is the machine's trouble."""


class Reason(StrEnum):
    """Why a reading is null."""

    NOT_SUPPORTED = "not_supported"
    """This GPU, or this mode of it, does not have the reading."""
    NOT_AVAILABLE = "not_available"
    """The driver has no value at this moment, or keeps it from this process."""
    NO_PERMISSION = "no_permission"
    """The driver gives the reading to other users only."""
    SYMBOL_MISSING = "symbol_missing"
    """The driver is too old: its library lacks the function."""
    GPU_LOST = "gpu_lost"
    """The GPU fell off the bus or waits for a reset."""
    NOT_FOUND = "not_found"
    """No GPU of this machine has that UUID."""
    DRIVER_ERROR = "driver_error"
    """The driver failed in a way that it does not explain."""
    IMPLAUSIBLE = "implausible"
    """The driver gave a value that cannot be true, so it is not kept."""
    PID_UNKNOWN = "pid_unknown"
    """The driver names a process that does not exist here: it just ended, or the pid is another namespace's."""


_REASONS = {
    pynvml.NVML_ERROR_NOT_SUPPORTED: Reason.NOT_SUPPORTED,
    pynvml.NVML_ERROR_INVALID_ARGUMENT: Reason.NOT_SUPPORTED,  # what a MIG instance says of its device's readings
    pynvml.NVML_ERROR_NO_DATA: Reason.NOT_AVAILABLE,
    pynvml.NVML_ERROR_INSUFFICIENT_SIZE: Reason.NOT_AVAILABLE,  # the list grew between pynvml's two calls
    pynvml.NVML_ERROR_NO_PERMISSION: Reason.NO_PERMISSION,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: Reason.SYMBOL_MISSING,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH: Reason.SYMBOL_MISSING,
    pynvml.NVML_ERROR_GPU_IS_LOST: Reason.GPU_LOST,
    pynvml.NVML_ERROR_RESET_REQUIRED: Reason.GPU_LOST,
    pynvml.NVML_ERROR_NOT_FOUND: Reason.NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """What a GPU is. With MIG on, each instance is a separate GPU and the device that holds them is not listed."""

    uuid: str
    """`GPU-...` or `MIG-...`; `unknown-<index>` for a GPU too broken to report it, which cannot be leased."""
    index: int
    """NVML's order (by PCI bus), for people only: CUDA may count differently."""
    name: str | None
    memory_total_bytes: int | None
    driver_version: str | None
    cuda_driver_version: str | None
    """The newest CUDA that the driver runs, such as `13.0`."""
    mig: bool
    healthy: bool
    reason: str | None
    """Why it is not healthy, in words."""


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One look at one GPU. A None has its reason in `reasons`, under the field's name."""

    uuid: str
    time: float
    """Unix seconds."""
    device_used_bytes: int | None = None
    """Everything in use, by every process and their contexts."""
    device_free_bytes: int | None = None
    device_total_bytes: int | None = None
    """What programs can have: used and free, without what the driver keeps for itself if it reports this."""
    processes: Mapping[int, int | None] | None = None
    """Pid to bytes used by that process on this GPU, None where the driver does not say. A reason beside a mapping
    means that entries were dropped."""
    utilization_percent: int | None = None
    """Share of the driver's last window (1/6 s to 1 s) in which any kernel ran, however small."""
    memory_utilization_percent: int | None = None
    """Share of that window in which device memory was read or written."""
    power_watts: float | None = None
    temperature_celsius: int | None = None
    energy_joules: float | None = None
    """A counter since the driver was loaded; only differences mean something."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None
    """Set when the GPU itself is in trouble, in words."""

    @property
    def healthy(self) -> bool:
        return self.fault is None

    def values(self) -> dict[str, int | float | None]:
        """The scalar readings by name; their units are in the names."""
        return {name: getattr(self, name) for names, _ in _QUERIES for name in names}


@dataclass(frozen=True, slots=True)
class NvmlAbsent:
    """This machine has no GPU that can be read, and why."""

    reason: str


class Nvml:
    """An initialised NVML; `close` ends it. Any thread may call it: NVML locks for itself."""

    def __init__(self, pid_exists: Callable[[int], bool]) -> None:
        self._pid_exists = pid_exists
        self._handles: dict[str, Any] = {}
        self._uuid_of_index: dict[int, str] = {}
        self._faults: Any = None
        self._fault_sources: dict[int | None, int] = {}

    @classmethod
    def open(cls, pid_exists: Callable[[int], bool] | None = None) -> "Nvml | NvmlAbsent":
        """Load and initialise the driver's library. A machine without one is an answer, not an error."""
        if clash := old_distribution():
            return NvmlAbsent(clash)
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            return NvmlAbsent(absence(error))
        return cls(pid_exists or _pid_exists)

    def close(self) -> None:
        """Release NVML. Nothing may be read afterwards."""
        try:
            pynvml.nvmlShutdown()
        except pynvml.NVMLError:
            return  # a driver that went away has nothing left to release

    def gpus(self) -> list[GpuInfo]:
        """Every GPU that a job can be given, and every broken one with the reason."""
        try:
            count = _ask(pynvml.nvmlDeviceGetCount)
        except _Refused as refused:
            return [self._broken(index, uuid, f"NVML: {refused}") for index, uuid in self._uuid_of_index.items()]
        return [info for index in range(count) for info in self._gpus_at(index)]

    def new_xids(self) -> list[tuple[int, int]]:
        """Faults that the driver reported since the last call: index of the GPU, and the Xid. Applications' are left
        out, and so is a driver that cannot report any."""
        try:
            self._listen_for_faults()
            return list(self._pending_xids())
        except _Refused:
            return []

    def read(self, uuid: str) -> GpuReading:
        """Read one GPU, field by field. What cannot be read is None with a reason; errors are reported, not raised."""
        values: dict[str, Any] = {}
        reasons: dict[str, str] = {}
        fault: str | None = None
        for names, query in _QUERIES:
            try:
                values |= zip(names, query(self._handle(uuid)), strict=True)
            except _Refused as refused:
                reasons |= dict.fromkeys(names, refused.reason)
                fault = fault or (str(refused) if _is_fault(refused, query) else None)
        try:
            listed = _processes(self._handle(uuid))
            values["processes"] = self._plausible(listed, values.get("device_total_bytes"))
            if len(values["processes"]) < len(listed):
                reasons["processes"] = Reason.PID_UNKNOWN
        except _Refused as refused:
            reasons["processes"] = refused.reason
        return GpuReading(uuid, time.time(), **values, reasons=reasons, fault=fault)

    def mig_instance(self, uuid: str) -> MigInstance | None:
        """Which part of which GPU this is; None for a whole GPU, and where the driver does not say."""
        try:
            handle = self._handle(uuid)
            gpu = _ask(pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle, handle)
            numbers = (
                _ask(call, handle)
                for call in (pynvml.nvmlDeviceGetGpuInstanceId, pynvml.nvmlDeviceGetComputeInstanceId)
            )
            return MigInstance(_ask(pynvml.nvmlDeviceGetUUID, gpu), *numbers)
        except _Refused:
            return None

    def _plausible(self, listed: Mapping[int, int | None], total: int | None) -> dict[int, int | None]:
        """The listed processes that exist. One entry that cannot be true condemns the list: a driver that disagrees
        with its library about the struct's layout shifts or swaps every entry."""
        kept = {}
        for pid, used in listed.items():
            exists = self._pid_exists(pid)
            swapped = not exists and used is not None and self._pid_exists(used)
            if swapped or pid == 0 or (used is not None and total is not None and used > total):
                raise _Refused(Reason.IMPLAUSIBLE, f"process {pid} with {used} bytes")
            if exists:
                kept[pid] = used
        return kept

    def _listen_for_faults(self) -> None:
        if self._faults is not None:
            return
        faults = _ask(pynvml.nvmlEventSetCreate)
        for index in range(_ask(pynvml.nvmlDeviceGetCount)):
            handle = _or_none(pynvml.nvmlDeviceGetHandleByIndex, index)
            if handle is not None:
                _or_none(pynvml.nvmlDeviceRegisterEvents, handle, pynvml.nvmlEventTypeXidCriticalError, faults)
                self._fault_sources[_address(handle)] = index
        self._faults = faults

    def _pending_xids(self) -> Iterator[tuple[int, int]]:
        while (event := _or_none(pynvml.nvmlEventSetWait_v2, self._faults, 0)) is not None:
            index = self._fault_sources.get(_address(event.device))
            if index is not None and event.eventData not in APPLICATION_XIDS:
                yield index, int(event.eventData)

    def _handle(self, uuid: str) -> Any:
        if uuid not in self._handles:
            self._handles[uuid] = _ask(pynvml.nvmlDeviceGetHandleByUUID, uuid)
        return self._handles[uuid]

    def _gpus_at(self, index: int) -> Iterator[GpuInfo]:
        try:
            handle = _ask(pynvml.nvmlDeviceGetHandleByIndex, index)
            uuid = _ask(pynvml.nvmlDeviceGetUUID, handle)
        except _Refused as refused:
            yield self._broken(index, self._uuid_of_index.get(index, f"unknown-{index}"), f"NVML: {refused}")
            return
        self._uuid_of_index[index] = uuid
        if not _mig_enabled(handle):
            yield self._gpu(index, uuid, handle, mig=False)
            return
        instances = list(_mig_instances(handle))
        if not instances:
            yield self._broken(index, uuid, "MIG mode is on and no instance exists", mig=True)
        for instance_uuid, instance in instances:
            yield self._gpu(index, instance_uuid, instance, mig=True)

    def _gpu(self, index: int, uuid: str, handle: Any, *, mig: bool) -> GpuInfo:
        self._handles[uuid] = handle
        try:
            _, _, total = _memory(handle)
        except _Refused as refused:
            return self._broken(index, uuid, f"its memory cannot be read: {refused}", mig=mig)
        name = _or_none(pynvml.nvmlDeviceGetName, handle)
        return GpuInfo(uuid, index, name, total, _driver_version(), _cuda_version(), mig, healthy=True, reason=None)

    def _broken(self, index: int, uuid: str, why: str, *, mig: bool = False) -> GpuInfo:
        name = _or_none(pynvml.nvmlDeviceGetName, self._handles[uuid]) if uuid in self._handles else None
        return GpuInfo(uuid, index, name, None, _driver_version(), _cuda_version(), mig, healthy=False, reason=why)


class _Refused(Exception):  # noqa: N818 - mostly no error: many GPUs simply lack a reading
    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(words)
        self.reason = reason


def _ask(call: Callable[..., T], *args: object) -> T:
    try:
        return call(*args)
    except pynvml.NVMLError as error:
        raise _Refused(_REASONS.get(error.value, Reason.DRIVER_ERROR), str(error)) from error


def _or_none(call: Callable[..., T], *args: object) -> T | None:
    try:
        return _ask(call, *args)
    except _Refused:
        return None


def _address(handle: Any) -> int | None:
    """A lost device no longer reports its UUID; its handle stays the same."""
    return cast(handle, c_void_p).value


def _bounded(value: float, limit: float, what: str) -> None:
    if not 0 <= value <= limit:
        raise _Refused(Reason.IMPLAUSIBLE, f"{what} {value} is not within 0 to {limit}")


def _memory(handle: Any) -> tuple[int, int, int]:
    """Used, free and their sum. Since driver 510 a second form reports the memory that the driver keeps. The first form
    counts it as used. Whether the second form's `used` has it too differs by driver; `free` never has."""
    try:
        memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle, pynvml.nvmlMemory_v2)
        total = memory.total - memory.reserved
    except _Refused as refused:
        if refused.reason not in {Reason.SYMBOL_MISSING, Reason.NOT_SUPPORTED}:
            raise
        memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
        total = memory.total
        _bounded(memory.used + memory.free, total, "used and free memory")
    _bounded(memory.free, total, "free memory")
    return total - memory.free, memory.free, total


def _utilization(handle: Any) -> tuple[int, int]:
    rates = _ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    _bounded(max(rates.gpu, rates.memory), 100, "utilization")
    return rates.gpu, rates.memory


def _power(handle: Any) -> tuple[float]:
    watts = _ask(pynvml.nvmlDeviceGetPowerUsage, handle) / 1000
    _bounded(watts, MAX_POWER_WATTS, "power")
    return (watts,)


def _temperature(handle: Any) -> tuple[int]:
    celsius = _ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
    _bounded(celsius, MAX_TEMPERATURE_CELSIUS, "temperature")
    return (celsius,)


def _energy(handle: Any) -> tuple[float]:
    millijoules = _ask(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle)
    if millijoules == pynvml.NVML_VALUE_NOT_AVAILABLE_ulonglong.value:
        raise _Refused(Reason.NOT_AVAILABLE, "no energy counter")
    return (millijoules / 1000,)


_QUERIES: tuple[tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]], ...] = (
    (("device_used_bytes", "device_free_bytes", "device_total_bytes"), _memory),
    (("utilization_percent", "memory_utilization_percent"), _utilization),
    (("power_watts",), _power),
    (("temperature_celsius",), _temperature),
    (("energy_joules",), _energy),
)


def _is_fault(refused: _Refused, query: object) -> bool:
    """A GPU without its memory's reading is in trouble; one that lacks an extra is not, unless it is lost."""
    broken = {Reason.NOT_FOUND, Reason.DRIVER_ERROR} if query is _memory else set()
    return refused.reason in broken | {Reason.GPU_LOST}


def _processes(handle: Any) -> dict[int, int | None]:
    try:
        listed = _ask(pynvml.nvmlDeviceGetComputeRunningProcesses_v3, handle)
    except _Refused as refused:
        if refused.reason is not Reason.SYMBOL_MISSING:
            raise
        listed = _ask(pynvml.nvmlDeviceGetComputeRunningProcesses_v2, handle)
    return {process.pid: process.usedGpuMemory for process in listed}


def _mig_enabled(handle: Any) -> bool:
    modes = _or_none(pynvml.nvmlDeviceGetMigMode, handle)
    return modes is not None and modes[0] == pynvml.NVML_DEVICE_MIG_ENABLE


def _mig_instances(handle: Any) -> Iterator[tuple[str, Any]]:
    for index in range(_or_none(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        instance = _or_none(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        uuid = None if instance is None else _or_none(pynvml.nvmlDeviceGetUUID, instance)
        if uuid is not None:
            yield uuid, instance


def _driver_version() -> str | None:
    return _or_none(pynvml.nvmlSystemGetDriverVersion)


def _cuda_version() -> str | None:
    version = _or_none(pynvml.nvmlSystemGetCudaDriverVersion)
    return None if version is None else f"{version // 1000}.{version % 1000 // 10}"


def _pid_exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
