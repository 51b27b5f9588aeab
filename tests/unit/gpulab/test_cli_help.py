"""Asking for help costs nothing."""

import subprocess
import sys

import pytest

from gpulab.cli import main
from gpulab.cli.by_task import TASKS


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom gpulab.cli import main\nassert main(['--help']) == 0\n"
        "print(sorted({'httpx', 'torch', 'sqlalchemy', 'yaml', 'psycopg'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_help_has_a_panel_for_each_task_and_every_command_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(task) for task in TASKS]
    assert places == sorted(places)
    for names, start, end in zip(TASKS.values(), places, [*places[1:], len(shown)], strict=True):
        assert all(f" {name} " in shown[start:end] for name in names)
