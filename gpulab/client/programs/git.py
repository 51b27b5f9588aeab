"""Which commit of a Git repository files come from."""

import subprocess
from pathlib import Path
from typing import NamedTuple

TIMEOUT_SECONDS = 5.0


class GitState(NamedTuple):
    commit: str | None
    """None where the folder is in no repository, where nothing was committed yet, or where Git is not installed."""
    dirty: bool | None


def git_state(folder: Path) -> GitState:
    """The commit, and whether the folder has changes that it lacks."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return GitState(None, None)
    changes = _git(folder, "status", "--porcelain", "--", ".")
    return GitState(commit.strip(), None if changes is None else changes != "")


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None
