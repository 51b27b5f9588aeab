"""A GPU machine made of text: a small `libnvidia-ml.so.1` that answers from a script file.

    world = FakeNvml(tmp_path, build_library(tmp_path))
    world.write(FakeGpu("GPU-1", processes={"*": 2 << 30}))
    subprocess.Popen([sys.executable, "-m", "worker"], env={**os.environ, **world.env})

The library is C because that is the only way to run pynvml's real ctypes path. A process that starts with `world.env`
finds it by name, as it would find the driver's; `loaded()` gives it to pynvml in this process. `write` may be called
again at any time: the next NVML call of every process sees the new world.
"""

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pynvml

LIBRARY_NAME = "libnvidia-ml.so.1"
SOURCE = Path(__file__).with_name("fake_nvml.c")
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class FakeGpu:
    """One GPU, or one MIG instance, in NVML's own units. None stands for "this GPU does not support it"."""

    uuid: str
    name: str = "NVIDIA Fake 80GB"
    total: int | None = 80 * GIB
    reserved: int = 0
    """Bytes of the total that the driver keeps for itself."""
    base_used: int = GIB // 2
    """Bytes used apart from the processes."""
    used: int | None = None
    """Bytes used altogether; None for `base_used` plus the processes."""
    utilization: int | None = 37
    memory_utilization: int | None = 12
    power: int | None = 250_000
    """Milliwatts."""
    temperature: int | None = 41
    energy: int | None = 5_000_000
    """Millijoules since the driver was loaded."""
    mig: int | None = 0
    processes: Mapping[int | str, int | None] = field(default_factory=dict)
    """Pid to bytes, None for "not available". The pid `"*"` is every session leader below the process that asks: the
    jobs of a worker."""
    swapped: int | None = None
    """1: pid and bytes of each process change places, as one driver release did."""
    fail: Mapping[str, int] = field(default_factory=dict)
    """NVML error code for `handle`, `uuid`, `name`, `memory`, `utilization`, `power`, `temperature`, `energy`, `mig`,
    `processes`, `events`, or `all` of them."""
    xids: Sequence[int] = ()
    """Every fault so far; a program that listens hears of those that are added."""
    mig_devices: Sequence["FakeGpu"] = ()

    def lines(self, kind: str = "gpu") -> Iterator[str]:
        yield f"{kind} {self.uuid}"
        for key in ("name", "total", "reserved", "base_used", "used", "utilization", "memory_utilization"):
            yield from _line(key, getattr(self, key))
        for key in ("power", "temperature", "energy", "mig", "swapped"):
            yield from _line(key, getattr(self, key))
        for pid, used in self.processes.items():
            yield f"process {pid} {'na' if used is None else used}"
        for key, code in self.fail.items():
            yield f"fail {key} {code}"
        for xid in self.xids:
            yield f"xid {xid}"
        for instance in self.mig_devices:
            yield from instance.lines("mig_device")


def _line(key: str, value: object) -> Iterator[str]:
    if value is not None:
        yield f"{key} {value}"


def build_library(folder: Path, missing: Sequence[str] = ()) -> Path:
    """Compile the library into `folder` without the symbols in `missing`, as an older driver would be; returns it."""
    place = folder / "-".join(["nvml", *missing])
    library = place / LIBRARY_NAME
    if not library.exists():
        place.mkdir(parents=True)
        absent = [f"-D{symbol}=absent_{symbol}" for symbol in missing]
        flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
        subprocess.run(["cc", *flags, *absent, "-o", library, SOURCE], check=True, timeout=60)
    return library


class FakeNvml:
    """One scripted world: `write` it, then start a process with `env`, or use `loaded` in this one."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.library = library
        self.script = folder / "fake_nvml.txt"
        self.write()

    def write(
        self, *gpus: FakeGpu, driver_version: str = "580.65.06", cuda_version: int = 13000, init_error: int = 0
    ) -> None:
        """Replace the world, whole; a running process sees it at its next call."""
        lines = [f"driver {driver_version}", f"cuda {cuda_version}", f"init {init_error}"]
        lines += [line for gpu in gpus for line in gpu.lines()]
        part = self.script.with_suffix(".part")
        part.write_text("\n".join(lines) + "\n")
        now = time.time_ns()
        os.utime(part, ns=(now, now))  # the kernel's own stamp is too coarse to tell two quick writes apart
        part.replace(self.script)

    @property
    def env(self) -> dict[str, str]:
        """What a process needs in its environment to find the library under the driver's name."""
        paths = [str(self.library.parent), os.environ.get("LD_LIBRARY_PATH", "")]
        return {"LD_LIBRARY_PATH": ":".join(filter(None, paths)), "FAKE_NVML_SCRIPT": str(self.script)}

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Give the library to pynvml in this process, where the loader's search path can no longer be changed."""
        before = os.environ.get("FAKE_NVML_SCRIPT")
        os.environ["FAKE_NVML_SCRIPT"] = str(self.script)
        _give_to_pynvml(ctypes.CDLL(str(self.library)))
        try:
            yield
        finally:
            _give_to_pynvml(None)
            os.environ.pop("FAKE_NVML_SCRIPT")
            if before is not None:
                os.environ["FAKE_NVML_SCRIPT"] = before


def _give_to_pynvml(library: ctypes.CDLL | None) -> None:
    pynvml.nvmlLib = library
    pynvml._nvmlGetFunctionPointer_cache.clear()
