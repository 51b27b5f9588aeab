"""The memory of the machine: how often the kernel ended a process for want of it."""

from pathlib import Path


def oom_kills(proc: Path = Path("/proc")) -> int:
    """Since the machine started; a container sees those of its machine. 0 where the kernel does not count them."""
    try:
        text = (proc / "vmstat").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)
