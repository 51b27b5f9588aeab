"""docs/cli.md tells everything there is."""

import re
from pathlib import Path

import pytest
import typer.main

from gpulab.cli import assemble
from gpulab.cli.failures import ExitCode

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
COMMANDS = typer.main.get_command(assemble()).commands  # type: ignore[attr-defined] # the app is a group
HEADING = re.compile(r"^### `gpulab ([\w-]+)", re.MULTILINE)
COMMON = PAGE[: PAGE.index("## Exit codes")]


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert sorted(HEADING.findall(PAGE)) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_of_a_command_is_told(name: str) -> None:
    (section,) = [part for part in re.split(r"(?=^### )", PAGE, flags=re.MULTILINE) if HEADING.findall(part) == [name]]
    parts = [COMMANDS[name], *getattr(COMMANDS[name], "commands", {}).values()]
    parameters = [parameter for part in parts for parameter in part.params]
    options = {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}
    told = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", section + COMMON))
    assert {option for option in options if option.startswith("-")} - told - {"-h", "--help"} == set()


def test_every_exit_code_is_told() -> None:
    told = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
    assert sorted(map(int, told)) == sorted(ExitCode)
