"""The versions beside a run's numbers."""

import platform

import pytest

from experiments.versions import versions


def test_packages_are_read_once_so_that_a_forked_job_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    first = versions()
    monkeypatch.setattr("experiments.versions.version", lambda _: "read again")
    assert versions() == first
    assert first["python"] == platform.python_version()
    assert {"torch", "torchvision", "numpy"} < first.keys()
