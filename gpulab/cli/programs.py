"""`gpulab programs ...`: the code that you sent."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.jobs.harmless import HarmlessText
from gpulab.cli.session import LAST_JOB, Session, print_json, session_command
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.schemas.programs import FileDifferenceRead, ProgramBrief, ProgramDifferenceRead

app = typer.Typer(help="Programs: the code that you sent. List, show, download and compare it.", no_args_is_help=True)

SHORT = 12
"""Digits of an id that are shown; enough to distinguish any two programs."""
SHA256 = re.compile(r"[0-9a-f]{64}")
PREFIX = re.compile(r"[0-9a-f]{6,63}")
MAX_SEARCHED = 500
ProgramName = Annotated[
    str,
    typer.Argument(
        metavar="PROGRAM",
        help=f"Its id or the id's first digits, its name, the id of one of its runs, or {LAST_JOB} (your newest run).",
    ),
]


@session_command(app, "list")
def list_programs(
    session: Session, limit: Annotated[int, typer.Option(min=1, help="Maximum number, newest first.")] = 20
) -> None:
    """List what you sent, newest first."""
    from gpulab.cli.tables import byte_size, moment, print_table

    found = list(session.client.programs.list(limit=limit))
    if session.as_json:
        print_json(found)
    elif not found:
        print("You have sent no programs. `gpulab run` sends one.")
    else:
        print_table(
            ["PROGRAM", "NAME", "FILES", "SIZE", "GIT COMMIT", "SENT"],
            (
                [
                    one.sha256[:SHORT],
                    one.name,
                    str(one.file_count),
                    byte_size(one.size_bytes),
                    _git(one),
                    moment(one.uploaded_at),
                ]
                for one in found
            ),
        )


@session_command(app)
def show(session: Session, program: ProgramName) -> None:
    """Show the files of a program, and when you sent it."""
    from gpulab.cli.tables import byte_size, print_facts, print_table

    found = session.client.programs.get(find_program(session, program))
    if session.as_json:
        print_json(found)
        return
    sent = found.upload
    facts = [("program", found.sha256), ("files", found.file_count), ("size", byte_size(found.size_bytes))]
    if sent is not None:
        facts += [("name", sent.name), ("git commit", _git(sent)), ("sent", sent.uploaded_at)]
    print_facts(facts)
    print_table(["FILE", "SIZE", "SHA-256"], ([one.path, byte_size(one.size_bytes), one.sha256] for one in found.files))


@session_command(app)
def get(
    session: Session,
    program: ProgramName,
    to: Annotated[
        Path | None, typer.Option(help="Folder for the files.", show_default="program- and the id's first digits")
    ] = None,
) -> None:
    """Download every file of a program. Nothing is overwritten."""
    sha256 = find_program(session, program)
    folder = session.client.programs.download(sha256, to or Path(f"program-{sha256[:SHORT]}"))
    if session.as_json:
        print_json({"sha256": sha256, "folder": str(folder)})
    else:
        print(folder)


@session_command(app)
def diff(session: Session, program: ProgramName, other: ProgramName) -> None:
    """Show what differs from one program to another, such as those of two runs."""
    found = session.client.programs.compare(find_program(session, program), find_program(session, other))
    if session.as_json:
        print_json(found)
    else:
        _print_difference(found)


def find_program(session: Session, text: str) -> str:
    """The id of the program named on the command line. Raises BadInput."""
    if SHA256.fullmatch(text):
        return text
    if text == LAST_JOB or _is_uuid(text):
        return _program_of_run(session, text)
    sent = list(session.client.programs.list(limit=MAX_SEARCHED))
    if called := [one.sha256 for one in sent if one.name == text]:
        return called[0]
    begun = {one.sha256 for one in sent if PREFIX.fullmatch(text) and one.sha256.startswith(text)}
    if len(begun) == 1:
        return begun.pop()
    if begun:
        raise BadInput(f"{counted(len(begun), 'program')} begin with {text}; give more digits")
    raise BadInput(f"no program of yours has the id or name {text!r}; `gpulab programs list` shows them")


def program_words(program: "ProgramBrief") -> str:
    """`train.py (0c5f3b1a9d2e, 2 files)`."""
    facts = [program.sha256[:SHORT], counted(program.file_count, "file")]
    commit = _git(program)
    return f"{program.name or 'program'} ({', '.join([*facts, f'commit {commit}'] if commit else facts)})"


def _program_of_run(session: Session, text: str) -> str:
    run = session.job(text)._loaded()
    if run.program is None:
        raise BadInput(f"the run {run.id} has no program: it is a run of {run.experiment}")
    return run.program.sha256


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _git(program: "ProgramBrief") -> str:
    if program.git_commit is None:
        return ""
    return program.git_commit[:SHORT] + (" with changes" if program.git_dirty else "")


def _print_difference(found: "ProgramDifferenceRead") -> None:
    if found.same:
        print("Both programs are the same.")
        return
    for file in found.files:
        _print_file(file)
    unchanged = f", {found.unchanged} unchanged" if found.unchanged else ""
    print(f"{counted(len(found.files), 'file')} changed{unchanged}.")


def _print_file(file: "FileDifferenceRead") -> None:
    from gpulab.cli.tables import byte_size, printable

    print(f"{file.status}: {printable(file.path)}")
    if file.lines is not None:
        # The code may be another user's.
        print(HarmlessText().feed(file.lines) if sys.stdout.isatty() else file.lines)
        return
    before, after = ("none" if size is None else byte_size(size) for size in (file.size_bytes, file.other_size_bytes))
    print("not a text file" if file.omitted == "binary" else "too large to compare", f"({before} → {after})")
