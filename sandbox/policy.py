"""What one sandbox may see, write and use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one sandbox. What the kernel enforces per process is a safety net; the process that starts the sandbox watches
    the whole of it."""

    processes: int | None = None
    """Processes and threads together. The kernel does not count those of root."""
    open_files: int = 4096
    """Of one process."""
    pending_signals: int = 4096
    """Timers and queued signals of all inside: the kernel counts them for all programs of a node together."""
    file_bytes: int | None = None
    """Of one file."""
    data_bytes: int | None = None
    """Private memory that one process may ask for; on a GPU the driver asks for far more than it uses."""
    group_processes: int | None = None
    """Processes and threads of all inside, root's too, where control groups are delegated to us."""
    group_memory_bytes: int | None = None
    """Of all inside together, with what lies in /tmp and cached files, where control groups are delegated to us."""
    tmp_bytes: int = 1 << 30
    """Of /tmp, which lies in memory."""
    shared_memory_bytes: int = 1 << 30
    """Of /dev/shm, where data loaders hand batches over."""


@dataclass(frozen=True, slots=True)
class SandboxPolicy:
    """Paths inside map to paths outside. Nothing that is not named here or in `system.py` exists inside."""

    readable: Mapping[str, Path] = field(default_factory=dict)
    writable: Mapping[str, Path] = field(default_factory=dict)
    code: tuple[Path, ...] = ()
    """Packages of Python that are readable at their own path."""
    devices: tuple[Path, ...] = ()
    """Device nodes; `devices.device_nodes` finds those of GPUs."""
    working_directory: str = "/"
    limits: Limits = field(default_factory=Limits)

    @property
    def has_gpu(self) -> bool:
        """Libraries of GPUs look for their cards in /sys."""
        return bool(self.devices)
