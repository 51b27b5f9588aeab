"""The files that take longest come first, so that no process is left alone with one at the end."""

from pathlib import Path

import pytest

LONGEST = (
    "test_up.py",
    "test_docs_commands.py",
    "test_kill_matrix.py",
    "test_sandbox.py",
    "test_fairness.py",
    "test_emulated_gpus.py",
    "test_gpus.py",
    "test_plugin.py",
    "test_compose.py",
    "test_cut_off_host.py",
    "test_reproduce.py",
    "test_client.py",
    "test_study_client.py",
    "test_rolling_restart.py",
    "test_reservations.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of other folders stay before them."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if item.path.parent != Path(__file__).parent:
        return -1
    return LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST)
