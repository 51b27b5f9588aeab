"""A policy as arguments of bubblewrap."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sandbox.policy import SandboxPolicy
from sandbox.system import FILES, FOLDERS, HIDDEN, HOSTNAME, SYSFS, UID, python_folders

NAMESPACES = ("user", "ipc", "pid", "net", "uts", "cgroup")


def arguments(policy: SandboxPolicy, environment: Mapping[str, str], data: Mapping[str, int]) -> list[str]:
    """Everything before the program itself. `data`: descriptors with the content of files that are made up."""
    return [part for parts in _options(policy, environment, data) for part in parts]


def _options(policy: SandboxPolicy, environment: Mapping[str, str], data: Mapping[str, int]) -> Iterator[Sequence[str]]:
    yield from (["--unshare-" + name] for name in NAMESPACES)
    yield ["--uid", str(UID), "--gid", str(UID), "--hostname", HOSTNAME, "--cap-drop", "ALL"]
    yield ["--die-with-parent", "--new-session", "--clearenv"]
    yield from (["--setenv", name, value] for name, value in environment.items())
    # First: this Python, the lab's code or a data set may lie below it.
    yield ["--size", str(policy.limits.tmp_bytes), "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 - its own
    yield from _system(data)
    yield from _devices(policy)
    for inside, outside in policy.readable.items():
        yield ["--ro-bind", str(outside), inside]
    for path in policy.code:
        yield ["--ro-bind", str(path), str(path)]
    for inside, outside in policy.writable.items():
        yield ["--bind", str(outside), inside]
    # Last, when every mount point exists. What is not mounted here lies in memory that nothing bounds.
    yield from (["--remount-ro", path] for path in ("/dev", "/proc", "/"))
    yield ["--chdir", policy.working_directory]


def _system(data: Mapping[str, int]) -> Iterator[Sequence[str]]:
    for name in FOLDERS:
        path = Path(name)
        if path.is_symlink():
            yield ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            yield ["--ro-bind", name, name]
    for name in FILES:
        yield ["--ro-bind-try", name, name]
    for inside, descriptor in data.items():
        yield ["--ro-bind-data", str(descriptor), inside]
    for folder in python_folders():
        yield ["--ro-bind", str(folder), str(folder)]
    # A program that runs as root outside could write to /proc/sys: the whole of it becomes read-only at the end.
    yield ["--proc", "/proc"]
    for name in HIDDEN:
        if Path(name).exists():
            yield ["--ro-bind", "/dev/null", name]


def _devices(policy: SandboxPolicy) -> Iterator[Sequence[str]]:
    yield ["--dev", "/dev"]
    yield ["--size", str(policy.limits.shared_memory_bytes), "--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108
    for path in policy.devices:
        yield ["--dev-bind", str(path), str(path)]
    if policy.has_gpu:
        yield from (["--ro-bind-try", path, path] for path in SYSFS)
