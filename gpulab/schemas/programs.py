"""Programs on the wire, and the packages that they find."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import StringConstraints

from gpulab.schemas.base import Incoming, Line, Outgoing, in_words

ProgramSha256 = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), in_words("a program's id has 64 of the characters 0-9 and a-f")
]
GitCommit = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$"),
    in_words("a Git commit has 40 or 64 of the characters 0-9 and a-f"),
]


class ProgramFileRead(Outgoing):
    path: str
    size_bytes: int
    sha256: str


class ProgramBrief(Outgoing):
    """The program of a job."""

    sha256: str
    size_bytes: int
    file_count: int
    name: str | None
    """Of the folder, script or notebook, as the job's owner sent it."""
    git_commit: str | None
    git_dirty: bool | None
    """Whether the files had changes that the commit lacks; null where nothing is known of Git."""


class ProgramSummary(ProgramBrief):
    """A program that you sent."""

    uploaded_at: datetime
    """When you sent it last."""


class ProgramRead(Outgoing):
    """A program. It never changes: other files have another id."""

    sha256: str
    """Its id: the SHA-256 over `path NUL size NUL sha256 NUL` of each file, sorted by path."""
    size_bytes: int
    file_count: int
    files: list[ProgramFileRead]
    created_at: datetime
    upload: ProgramSummary | None
    """How you sent it yourself; null where you may only read it."""


class ProgramLimitsRead(Outgoing):
    """What the lab takes."""

    max_bytes: int
    """Of all files of a program together."""
    max_files: int


class ProgramPage(Outgoing):
    items: list[ProgramSummary]
    next_cursor: str | None
    limits: ProgramLimitsRead


class FileDifferenceRead(Outgoing):
    """One file that differs between two programs."""

    path: str
    status: Literal["added", "removed", "changed"]
    size_bytes: int | None
    """In the first program; null where it is not there."""
    other_size_bytes: int | None
    lines: str | None
    """A unified diff of its lines; null where none is shown."""
    omitted: Literal["binary", "too_large"] | None
    """Why no lines are shown."""


class ProgramDifferenceRead(Outgoing):
    """What differs from one program to another."""

    sha256: str
    other_sha256: str
    same: bool
    files: list[FileDifferenceRead]
    """Sorted by path; files that are the same are left out."""
    unchanged: int
    """How many files are the same."""


class UploadFields(Incoming):
    """What is said of a program that is sent, beside its files."""

    name: Line | None = None
    """Of its folder, script or notebook."""
    git_commit: GitCommit | None = None
    git_dirty: bool | None = None
    """Whether the files have changes that the commit lacks."""


class PackageRead(Outgoing):
    """A Python package."""

    name: str
    version: str


class EnvironmentRead(Outgoing):
    """An environment, and the nodes that have it."""

    python: str
    """Version of Python."""
    packages: list[PackageRead]
    """By name."""
    nodes: list[str]


class EnvironmentPage(Outgoing):
    """The environments of the nodes that run programs and are heard of; one if all are alike."""

    items: list[EnvironmentRead]
