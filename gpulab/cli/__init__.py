"""The command line: `gpulab COMMAND`. One module a group of commands; this one puts them together."""

import io
import os
import sys
from collections.abc import Sequence

import typer

from gpulab.cli import banner, disk, environment, errors, estimate, experiments, programs
from gpulab.cli.by_task import ByTask
from gpulab.cli.failures import USAGE_ERROR, BadInput, as_failure, report, report_usage
from gpulab.cli.jobs import artifacts, deleting, ending, labels, logs, run, status, submit, table, watch
from gpulab.cli.nodes import nodes, reserve, top
from gpulab.cli.server_side import server_commands
from gpulab.cli.studies import commands as studies
from gpulab.cli.users import courses, notifications, own_data, roster, sign_in, students, tokens, users
from gpulab.errors import GpulabError
from gpulab.version import VERSION

GROUPS = (
    sign_in.app,
    submit.app,
    estimate.app,
    status.app,
    table.app,
    ending.app,
    labels.app,
    deleting.app,
    watch.app,
    logs.app,
    artifacts.app,
    experiments.app,
    environment.app,
    disk.app,
    errors.app,
    top.app,
    run.app,
)
NAMED_GROUPS = {
    "study": studies.app,
    "programs": programs.app,
    "nodes": nodes.app,
    "reserve": reserve.app,
    "me": own_data.app,
    "users": users.app,
    "tokens": tokens.app,
    "roster": roster.app,
    "courses": courses.app,
    "assignments": students.app,
    "notifications": notifications.app,
    "banner": banner.app,
}


def assemble() -> typer.Typer:
    """The whole application."""
    app = typer.Typer(
        name="gpulab",
        cls=ByTask,
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
    for name, command in server_commands().items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (see docs/cli.md)."""
    _print_in_any_locale()
    given = [_in_unicode(text) for text in (sys.argv[1:] if arguments is None else arguments)]
    as_json = "--json" in given
    try:
        code = int(assemble()(given, prog_name="gpulab", standalone_mode=False) or 0)
        _flush()
    except USAGE_ERROR as error:
        return report_usage(error, as_json=as_json)
    except typer.Abort:
        return report(BadInput("cancelled; nothing was changed"), as_json=as_json)
    except (GpulabError, OSError) as error:
        return report(as_failure(error), as_json=as_json)
    return code


def _print_in_any_locale() -> None:
    """What the terminal's encoding has not is printed as an escape: it is no reason to lose what was done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _in_unicode(argument: str) -> str:
    """UTF-8 that a foreign locale did not know as such."""
    try:
        return os.fsencode(argument).decode() if any("\udc80" <= sign <= "\udcff" for sign in argument) else argument
    except UnicodeDecodeError:
        return argument


def _flush() -> None:
    """Here, and not while the interpreter ends, where a full disk could only be a traceback."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # A reader that has seen enough, such as `head`, is no failure.
        if not isinstance(error, BrokenPipeError):
            raise OSError(error.errno, error.strerror, "standard output") from error


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"gpulab {VERSION}")
        raise typer.Exit


def _root(
    show_version: bool = typer.Option(False, "--version", help="Show the version and exit.", callback=_show_version),
) -> None:
    """Submit experiments, follow them, and fetch what they found."""
