"""The command line: `gpulab COMMAND`. One module a group of commands; this one puts them together."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

import typer

from gpulab.cli import (
    artifacts,
    classes,
    estimate,
    experiments,
    jobs,
    local,
    logs,
    nodes,
    study,
    submit,
    top,
    users,
    watch,
)
from gpulab.cli.failures import USAGE_ERROR, BadInput, report, report_usage
from gpulab.errors import GpulabError

GROUPS = (
    submit.app,
    estimate.app,
    jobs.app,
    watch.app,
    logs.app,
    artifacts.app,
    experiments.app,
    top.app,
    local.app,
)
NAMED_GROUPS = {
    "study": study.app,
    "nodes": nodes.app,
    "users": users.app,
    "tokens": users.tokens,
    "roster": classes.roster,
    "assignments": classes.assignments,
}
EXTRA_COMMANDS = ("reproduce", "up", "doctor", "worker", "scheduler", "backup", "restore", "simulate")
"""Commands that are plain functions in a module of their own name."""


def assemble() -> typer.Typer:
    """The whole application."""
    app = typer.Typer(
        name="gpulab",
        help="A job queue for the GPU experiments of a class.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for group in GROUPS:
        app.registered_commands.extend(group.registered_commands)
    for name, group in NAMED_GROUPS.items():
        app.add_typer(group, name=name)
    for name in EXTRA_COMMANDS:
        if find_spec(f"gpulab.cli.{name}"):
            command: Callable[..., object] = getattr(import_module(f"gpulab.cli.{name}"), name)
            app.command(name)(command)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (see docs/cli.md)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        return int(assemble()(given, prog_name="gpulab", standalone_mode=False) or 0)
    except USAGE_ERROR as error:
        return report_usage(error, as_json=as_json)
    except GpulabError as error:
        return report(error, as_json=as_json)
    except OSError as error:
        # A folder that cannot be made, a full disk: the user's to mend, like a bad argument.
        return report(BadInput(str(error)), as_json=as_json)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"gpulab {version('gpulab')}")
        except PackageNotFoundError:
            print("gpulab, from a checkout")
        raise typer.Exit


def _root(
    show_version: bool = typer.Option(False, "--version", help="Show the version and exit.", callback=_show_version),
) -> None:
    """Submit experiments, follow them, and fetch what they found."""
