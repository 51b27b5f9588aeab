"""Jobs as a table on the wire."""

from typing import Any

from gpulab.schemas.base import Outgoing
from gpulab.schemas.jobs import JobSummary


class JobRow(JobSummary):
    """One job, with the values of the columns that were asked for."""

    values: list[Any]
    """In the order of the columns: a number, a text, true or false, the points of a curve, or null for no value."""


class JobTableRead(Outgoing):
    columns: list[str]
    items: list[JobRow]
    total: int
    """How many jobs meet the filters and the conditions, on all pages together."""
    searched: int
    """How many jobs the conditions and orders looked at, newest first."""
    complete: bool
    """False where there are more jobs than `searched`; a narrower filter, such as an experiment, reaches them."""
    next_cursor: str | None


class FieldStatistics(Outgoing):
    """Of the numbers that one column has in the jobs of a group."""

    n: int
    mean: float | None
    sd: float | None
    """Of the sample (n - 1); null where n is below 2."""
    min: float | None
    max: float | None


class JobGroup(Outgoing):
    """The jobs that have the same values in the columns that were grouped by."""

    by: list[Any]
    runs: int
    columns: list[FieldStatistics]


class JobGroupsRead(Outgoing):
    by: list[str]
    columns: list[str]
    items: list[JobGroup]
    groups: int
    """How many groups there are; at most 200 are listed."""
    total: int
    """How many jobs they hold together."""
    searched: int
    complete: bool
    """False where there are more jobs than `searched`."""


class FieldRead(Outgoing):
    """A column that jobs have a value for."""

    name: str
    """As `columns`, `sort`, `where` and `by` take it."""
    kinds: list[str]
    """`number`, `string` or `boolean`; several where jobs differ."""
    runs: int
    """How many of the newest jobs have it."""
    values: int | None
    """How many different values they have; null for a metric."""


class FieldsRead(Outgoing):
    items: list[FieldRead]
