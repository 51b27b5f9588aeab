"""The parts of a program's spec that decide its GPU memory, as far as the lab knows. No torch here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

A_NUMBER = "a number"


def shape(spec: Mapping[str, Any]) -> str:
    """The spec without the values of its fractions: a learning rate changes no memory, a batch size does."""
    fields = {
        **spec,
        "command": _without_fractions(spec.get("command", ())),
        "arguments": _without_fractions(spec.get("arguments", ())),
        "parameters": {name: _without_fraction(value) for name, value in spec.get("parameters", {}).items()},
    }
    return json.dumps(fields, sort_keys=True)


def _without_fractions(words: Sequence[str]) -> list[Any]:
    return [_without_fraction(word) for word in words]


def _without_fraction(value: Any) -> Any:
    if isinstance(value, float):
        return A_NUMBER
    if isinstance(value, str) and not value.lstrip("+-").isdigit():
        try:
            float(value)
        except ValueError:
            return value
        return A_NUMBER
    return value
