"""Which processes belong to which job."""

import os
import subprocess
import sys

import pytest

from worker.measuring import sessions
from worker.measuring.sessions import Families


def test_process_whose_parents_end_during_the_look_is_found_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program could otherwise make processes until one of them is overlooked for ever."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    leaders = frozenset({os.getpid()})
    ancestor = sessions._ancestor

    def ended(pid: int, given: frozenset[int]) -> int | None:
        if pid == child.pid:
            raise FileNotFoundError(f"/proc/{pid}/stat")
        return ancestor(pid, given)

    families = Families()
    with monkeypatch.context() as patched:
        patched.setattr(sessions, "_ancestor", ended)
        assert child.pid not in families.of(leaders).get(os.getpid(), [])
    assert child.pid in families.of(leaders)[os.getpid()]
    child.communicate()
