"""What can be sent: JSON has no number without an end, and text that is not UTF-8 is none."""

import json
import math
from collections.abc import Mapping
from typing import Any

from gpulab.errors import ConfigurationError

MAX_DEPTH = 64


def check_body(body: Mapping[str, Any]) -> None:
    """Raises ConfigurationError with the path of what JSON cannot hold."""
    if (unfit := _unfit(body, "")) is not None:
        raise ConfigurationError(f"this cannot be sent as JSON: {unfit}")


def check_query(query: Mapping[str, Any]) -> None:
    """Raises ConfigurationError. What is neither text nor a number, such as an id, is sent as its text."""
    for name, value in query.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, str | float) and (unfit := _unfit_leaf(each)) is not None:
                raise ConfigurationError(f"this cannot be sent: {name}: {unfit}")


def check_text(text: str) -> str:
    """For a part of an address. Raises ConfigurationError."""
    if (unfit := _unfit_text(text)) is not None:
        raise ConfigurationError(unfit)
    return text


def _unfit(value: Any, path: str, depth: int = 0) -> str | None:
    """The path of it, and why."""
    if depth > MAX_DEPTH:
        return f"{path[:80]}: nested deeper than {MAX_DEPTH} levels"
    if isinstance(value, Mapping):
        children = list(value.items())
    elif isinstance(value, list | tuple):
        children = list(enumerate(value))
    else:
        why = _unfit_leaf(value)
        return why and f"{path}: {why}"
    where = f"{path}." if path else ""
    return next((found for key, child in children if (found := _unfit(child, f"{where}{key}", depth + 1))), None)


def _unfit_leaf(value: Any) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not a finite number"
    if isinstance(value, str):
        return _unfit_text(value)
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        return str(error)
    return None


def _unfit_text(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"{ascii(text)[:80]} is not text in UTF-8"
    return None
