"""Errors on the wire: RFC 9457, with a stable type and the field, limit and value where there is one."""

from typing import Any

from pydantic import JsonValue

from gpulab.schemas.base import Outgoing


class InvalidField(Outgoing):
    """One thing that is wrong with a request."""

    path: str
    """Where: `spec.batch_size`, `query.limit`, `header.Idempotency-Key`."""
    message: str
    limit: dict[str, Any] | None = None
    """What would be accepted, e.g. `{"le": 1024}`."""
    value: JsonValue = None
    """What was sent; shortened when long."""


class Problem(Outgoing):
    """An `application/problem+json` body."""

    type: str
    """A stable slug, relative to the API: `/problems/invalid-spec`."""
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[InvalidField] | None = None
