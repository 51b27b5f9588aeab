"""What is sent to queue a run or a study, checked before it leaves."""

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from gpulab.errors import ConfigurationError

KEY = re.compile(r"[\x21-\x7e]{1,200}")
MAX_JSON_DEPTH = 64


def submission(
    experiment: str, spec: Mapping[str, Any] | BaseModel | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The body that queues a run."""
    return {"experiment": experiment, "spec": plain_spec(spec), **given(**options)}


def given(**fields: Any) -> dict[str, Any]:
    """A body without what was left out."""
    return {name: value for name, value in fields.items() if value is not None}


def plain_spec(spec: Mapping[str, Any] | BaseModel | None) -> dict[str, Any]:
    return spec.model_dump(mode="json") if isinstance(spec, BaseModel) else dict(spec or {})


def key_header(body: Mapping[str, Any], idempotency_key: str | None = None) -> dict[str, str]:
    """The header with which a submission may be sent again. Raises ConfigurationError for a bad key or body."""
    if (unfit := _unfit(body, "")) is not None:
        raise ConfigurationError(f"the submission cannot be sent as JSON: {unfit}")
    key = str(uuid4()) if idempotency_key is None else idempotency_key
    if not KEY.fullmatch(key):
        raise ConfigurationError(f"idempotency_key must be 1 to 200 visible ASCII characters, not {key!r}")
    return {"Idempotency-Key": key}


def _unfit(value: Any, path: str, depth: int = 0) -> str | None:
    """The path of what JSON cannot hold, and why."""
    if depth > MAX_JSON_DEPTH:
        return f"{path[:80]}: nested deeper than {MAX_JSON_DEPTH} levels"
    if isinstance(value, Mapping):
        children = list(value.items())
    elif isinstance(value, list | tuple):
        children = list(enumerate(value))
    else:
        return _unfit_leaf(value, path)
    where = f"{path}." if path else ""
    return next((found for key, child in children if (found := _unfit(child, f"{where}{key}", depth + 1))), None)


def _unfit_leaf(value: Any, path: str) -> str | None:
    try:
        json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        return f"{path}: {error}"
    return None
