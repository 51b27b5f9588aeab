"""What is sent to queue a run or a study, checked before it leaves."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel

from gpulab.errors import ConfigurationError

KEY = re.compile(r"[\x21-\x7e]{1,200}")
Moment = datetime | str


def submission(
    experiment: str, spec: Mapping[str, Any] | BaseModel | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The body that queues a run."""
    return {"experiment": experiment, "spec": plain_spec(spec), **given(**options)}


def given(**fields: Any) -> dict[str, Any]:
    """A body without what was left out; ids as text."""
    found = {name: value for name, value in fields.items() if value is not None}
    return {name: str(value) if isinstance(value, UUID) else value for name, value in found.items()}


def plain(**fields: Any) -> dict[str, Any]:
    """As `given`; times as text, too."""
    found = given(**fields)
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in found.items()}


def plain_spec(spec: Mapping[str, Any] | BaseModel | None) -> dict[str, Any]:
    return spec.model_dump(mode="json") if isinstance(spec, BaseModel) else dict(spec or {})


def key_header(idempotency_key: str | None = None) -> dict[str, str]:
    """The header with which a submission may be sent again. Raises ConfigurationError for a bad key."""
    key = str(uuid4()) if idempotency_key is None else idempotency_key
    if not KEY.fullmatch(key):
        raise ConfigurationError(f"idempotency_key must be 1 to 200 visible ASCII characters, not {key!r}")
    return {"Idempotency-Key": key}
