"""What one command line did."""

from typing import NamedTuple


class Ran(NamedTuple):
    code: int
    out: str
    err: str
