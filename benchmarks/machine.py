"""What a number must be quoted with: the kind of machine, the versions and the commit. No names, no paths."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "fastapi", "uvicorn", "psycopg", "sqlalchemy", "celery", "redis", "pydantic")
ROOT = Path(__file__).parent.parent


def describe() -> dict[str, Any]:
    return {
        "kind": kind(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def kind() -> str:
    """A word for machines like this one, fit for a file name."""
    return f"{len(os.sched_getaffinity(0))}-cores-{platform.machine()}"


def commit() -> str:
    """The commit measured, with `+changes` when tracked files of the lab differ from it."""
    told = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "api", "scheduler", "worker", "models")
    return f"{told}+changes" if changed else told


def load() -> float:
    """Mean number of runnable processes in the last minute: on a quiet machine far below the number of cores."""
    return round(os.getloadavg()[0], 2)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
