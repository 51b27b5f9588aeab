"""Starts a student's program in a sandbox, and stands for it as `JobProcess` does for a job of the zygote."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from emulator import is_emulated
from emulator.build import FOLDER_VARIABLE, build
from emulator.loading import environment as emulated_environment
from emulator.world import VARIABLE, World
from experiments.datasets.inventory import CIFAR10_BATCHES
from models.settings import NodeSettings
from sandbox import (
    DeviceError,
    Groups,
    LaunchError,
    Limits,
    MigInstance,
    SandboxPolicy,
    SandboxProcess,
    device_nodes,
    free_place,
    launch,
)
from worker.runs.folder import RunFolder
from worker.runs.orphans import MARKER
from worker.runs.zygote import End, NotStartedError

HOST = ("-P", "-m", "experiments.program_host")
"""With `-P`, files of a program that are called as modules are do not reach its host."""
PACKAGES = ("experiments", "gpulab", "emulator")
"""What the host imports of the lab's own code."""
RUN_DIRECTORY = "/run/gpulab"
EMULATED = "/run/emulated"
CACHE_INSIDE = Path("/tmp/cache")  # noqa: S108 - of a sandbox
PATH = "/usr/local/bin:/usr/bin:/bin"
CIFAR10 = "cifar10"
"""Its folder lies below one of this name, as torchvision wants it."""
WITHOUT_NETWORK = {
    "HF_HUB_OFFLINE": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_RETRIES": "0",
    "WANDB_MODE": "offline",
}
"""By which tools say at once that they reach nothing, instead of trying for a minute."""
FILE_SLACK_BYTES = 2 * 2**30
"""How far one file may outgrow the limit of the disk before the kernel stops it. The watch comes first: its words say
more than "file too large"."""
DATA_SLACK_BYTES = 2 * 2**30
"""What a process may have asked for and not touched: stacks of threads, and what was loaded before it began."""
PROCESSES_SLACK = 64
"""How far a program may pass its limit before the kernel refuses it another process. The watch comes first."""


class ProgramProcess:
    """One program in its sandbox. `wait`, `stop` and `kill` may be called from any thread."""

    def __init__(self, process: SandboxProcess) -> None:
        self._process = process
        self.pid = process.pid

    @property
    def outgrown_bytes(self) -> int | None:
        """What it had taken of the machine's memory when the kernel ended it for passing its limit; null otherwise."""
        group = self._process.group
        if group is None or not group.ran_out_of_memory:
            return None
        return group.peak_bytes if group.peak_bytes is not None else group.memory_bytes

    def wait(self, timeout_seconds: float) -> bool:
        """Whether all of it has ended, after at most `timeout_seconds`."""
        return self._process.wait(timeout_seconds)

    @property
    def end(self) -> End | None:
        """Null while it runs."""
        return End(self._process.status) if self.wait(0) else None

    def stop(self) -> None:
        """Ask it to end: SIGTERM to its host, which passes it on."""
        self._process.stop()

    def kill(self) -> None:
        """End everything inside, at once."""
        self._process.kill()


class ProgramSandbox:
    """Makes the sandboxes of one node. `mig_instances` says which of these GPUs are parts of one."""

    def __init__(
        self,
        settings: NodeSettings,
        groups: Groups | None = None,
        mig_instances: Callable[[Sequence[str]], Mapping[str, MigInstance]] = lambda _: {},
    ) -> None:
        self._settings = settings
        self._groups = groups
        self._mig_instances = mig_instances
        self._code = tuple(_own_packages())
        packages = settings.program_packages
        self._packages = packages.resolve() if packages is not None and packages.is_dir() else None
        self.work = free_place("/work", self._code)
        self.data = free_place("/data", self._code)

    def start(
        self, folder: RunFolder, gpu_uuids: Sequence[str], memory_bytes: int | None, datasets: Sequence[str] = ()
    ) -> ProgramProcess:
        """Run what the order in the folder says; of the node's data sets it sees those. Raises `NotStartedError`:
        nothing of it runs.
        """
        return self._launched(folder, gpu_uuids, memory_bytes, datasets)

    def start_spare(
        self,
        folder: RunFolder,
        gpu_uuids: Sequence[str],
        memory_bytes: int | None,
        datasets: Sequence[str],
        order: int,
        ready: int,
    ) -> ProgramProcess:
        """A host that loads torch, writes a byte to `ready`, and waits for a line on `order`. Raises as `start`."""
        waiting = ("--spare", "--ready-fd", str(ready))
        return self._launched(folder, gpu_uuids, memory_bytes, datasets, *waiting, fds=(order, ready))

    def start_measuring(self, folder: RunFolder, datasets: Sequence[str]) -> ProgramProcess:
        """Run what the order says without a GPU, beside the emulated driver. Raises as `start`, and `BuildError`."""
        return self._launched(folder, (), None, datasets, driver=build())

    def _launched(
        self,
        folder: RunFolder,
        gpu_uuids: Sequence[str],
        memory_bytes: int | None,
        datasets: Sequence[str],
        *more: str,
        fds: tuple[int, ...] = (subprocess.DEVNULL,),
        driver: Path | None = None,
    ) -> ProgramProcess:
        command = [sys.executable, *HOST, "--run-directory", RUN_DIRECTORY, "--work", self.work, *more]
        stdin, *passed = fds
        try:
            policy = self._policy(folder, gpu_uuids, memory_bytes, datasets)
            environment = self._environment(gpu_uuids)
            if driver is not None:
                policy = replace(policy, readable={**policy.readable, str(driver): driver})
                environment[FOLDER_VARIABLE] = str(driver)
            with folder.output.open("ab+", buffering=0) as output:
                process = launch(
                    policy,
                    command,
                    environment,
                    output=output.fileno(),
                    stdin=stdin,
                    pass_fds=passed,
                    mark=self._mark(),
                    groups=self._groups,
                )
        except (LaunchError, DeviceError, OSError) as error:
            raise NotStartedError(str(error)) from error
        return ProgramProcess(process)

    def _policy(
        self, folder: RunFolder, gpu_uuids: Sequence[str], memory_bytes: int | None, datasets: Sequence[str]
    ) -> SandboxPolicy:
        settings = self._settings
        readable = dict(self._data(datasets))
        if self._packages is not None:
            readable[str(self._packages)] = self._packages
        writable = {RUN_DIRECTORY: folder.written_by_run, self.work: folder.work}
        devices: tuple[Path, ...] = ()
        if gpu_uuids and is_emulated():
            driver = build()
            readable[str(driver)] = driver
            writable[EMULATED] = _own_cards(folder)
        else:
            devices = device_nodes(gpu_uuids, self._mig_instances(gpu_uuids))
        limits = Limits(
            processes=settings.program_processes or None,
            file_bytes=settings.program_disk_bytes + FILE_SLACK_BYTES if settings.program_disk_bytes else None,
            # On a GPU the driver takes address space as it likes.
            data_bytes=memory_bytes + DATA_SLACK_BYTES if memory_bytes and not gpu_uuids else None,
            group_processes=settings.program_processes + PROCESSES_SLACK if settings.program_processes else None,
            group_memory_bytes=memory_bytes + settings.program_tmp_bytes if memory_bytes else None,
            tmp_bytes=settings.program_tmp_bytes,
        )
        return SandboxPolicy(
            readable=readable,
            writable=writable,
            code=self._code,
            devices=devices,
            working_directory=self.work,
            limits=limits,
        )

    def _data(self, datasets: Sequence[str]) -> Iterator[tuple[str, Path]]:
        """Where the data sets lie inside, and outside. One that needs no folder, or has gone, is left out."""
        for name in datasets:
            parts = (CIFAR10, CIFAR10_BATCHES) if name == CIFAR10 else (name,)
            if (folder := self._dataset_folder(name)).is_dir():
                yield "/".join((self.data, *parts)), folder.resolve()

    def identities(self, datasets: Sequence[str]) -> tuple[tuple[int, int] | None, ...]:
        """Device and inode of each data set's folder; None where there is none."""
        return tuple(_identity(self._dataset_folder(name)) for name in datasets)

    def _dataset_folder(self, name: str) -> Path:
        return self._settings.datasets_folder / (CIFAR10_BATCHES if name == CIFAR10 else name)

    def _environment(self, gpu_uuids: Sequence[str]) -> dict[str, str]:
        """All of it: nothing of the worker's own is passed on."""
        ours = WITHOUT_NETWORK | {
            "CUDA_VISIBLE_DEVICES": ",".join(gpu_uuids),
            "GPULAB_RUN_DIRECTORY": RUN_DIRECTORY,
            "HOME": self.work,
            "LANG": "C.UTF-8",
            "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108 - its own
            "OMP_WAIT_POLICY": "PASSIVE",  # as for jobs of the zygote
            "PATH": f"{Path(sys.executable).parent}:{PATH}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": ":".join(sorted({str(package.parent) for package in self._code})),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": "/tmp",  # noqa: S108 - its own
            "USER": "student",
            "XDG_CACHE_HOME": str(CACHE_INSIDE),
        }
        if self._packages is not None:
            ours["GPULAB_PROGRAM_PACKAGES"] = str(self._packages)
        if gpu_uuids and is_emulated():
            ours |= emulated_environment(World(Path(EMULATED) / "world.txt"), base={})
        return ours

    def _mark(self) -> Mapping[str, str]:
        """By which a later worker finds what this one left."""
        return {MARKER: f"{self._settings.runs_folder.resolve()}:{uuid4().hex}"}


def _own_packages() -> list[Path]:
    """The packages that are not installed beside the others: those of a checkout."""
    found = []
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise NotStartedError(f"the package {name} is not installed")
        folder = Path(spec.origin).parent
        if folder.parent.name not in {"site-packages", "dist-packages"}:
            found.append(folder)
    return found


def _own_cards(folder: RunFolder) -> Path:
    """A machine of emulated cards for this program alone: what it writes there reaches no other run."""
    own = folder.path / "emulated"
    own.mkdir(exist_ok=True)
    (own / "world.txt").write_bytes(Path(os.environ[VARIABLE]).read_bytes())
    return own


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
