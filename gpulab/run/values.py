"""Names and values that a run may record, with their limits. Standard library only."""

import math
import re
from collections.abc import Mapping
from typing import Any, SupportsFloat

ARTIFACT_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
METRIC_NAME = r"[A-Za-z][A-Za-z0-9_./-]{0,99}"
MAX_METRIC_NAMES = 500
MAX_RESULT_FIELDS = 200
MAX_NAME_CHARACTERS = 100
MAX_TEXT_CHARACTERS = 1000
MAX_STEP = 2**63 - 1
OF_VALUES_OR_TIME = re.compile(
    r"(^|_)(loss|accuracy|accuracies|confusion|best_epoch|seconds|per_second|watts|joules)(_|$)"
)
"""Names of quantities that an emulated GPU cannot know: it has memory, and computes nothing."""
_ARTIFACT = re.compile(ARTIFACT_NAME)
_METRIC = re.compile(METRIC_NAME)

Scalar = float | int | str | bool | None


def check_artifact_name(name: str) -> str:
    """The name; raises `ValueError` for one that cannot be stored."""
    if not isinstance(name, str) or not _ARTIFACT.fullmatch(name):
        raise ValueError(
            f"artifact name {name!r}: use letters, digits, '.', '_' and '-', begin with a letter or digit, "
            "and use at most 128 characters"
        )
    return name


def check_metric_name(name: str, known: int) -> str:
    """The name; raises `ValueError` for one that cannot be stored. `known` names were recorded before it."""
    if not isinstance(name, str) or not _METRIC.fullmatch(name):
        raise ValueError(
            f"metric name {name!r}: use letters, digits, '_', '.', '/' and '-', begin with a letter, "
            f"and use at most {MAX_NAME_CHARACTERS} characters"
        )
    if known >= MAX_METRIC_NAMES:
        raise ValueError(f"metric name {name!r}: a run may record at most {MAX_METRIC_NAMES} series")
    return name


def check_step(step: int) -> int:
    """A whole number; raises `ValueError` or `TypeError` for anything else."""
    try:
        whole = int(step)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # a dict, NaN, a tensor of several elements
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"step {step!r}: must be a whole number") from error
    if whole != step or abs(whole) > MAX_STEP:
        raise ValueError(f"step {step!r}: must be a whole number of at most 64 bits")
    return whole


def number_as_json(value: SupportsFloat, name: str) -> float | str:
    """JSON has no word for a non-finite number; the string is what `float()` reads back.

    Raises `TypeError` or `ValueError` that names the metric.
    """
    if not isinstance(value, float) and callable(detach := getattr(value, "detach", None)):
        value = detach()  # a loss that still has its graph
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # the last of a tensor of several elements
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"metric {name!r}: a number is needed, not {type(value).__name__}: {error}") from error
    return number if math.isfinite(number) else str(number)


def check_result(given: Mapping[str, Any]) -> dict[str, Scalar]:
    """The result as JSON can hold it: numbers of NumPy and PyTorch become Python's, and NaN and infinity null.

    Raises `ValueError` or `TypeError` that names the field.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"the result must be a dict of numbers and texts, not {type(given).__name__}")
    if len(given) > MAX_RESULT_FIELDS:
        raise ValueError(f"the result may have {MAX_RESULT_FIELDS} fields, and this one has {len(given)}")
    return {_field_name(name): _scalar(name, value) for name, value in given.items()}


def is_result(value: Any) -> bool:
    """Whether this could be a result: a dict that is not empty and holds scalars alone."""
    try:
        return isinstance(value, Mapping) and bool(check_result(value))
    except (TypeError, ValueError):
        return False


def _field_name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise ValueError(f"result field {name!r}: a name is a text of 1 to {MAX_NAME_CHARACTERS} characters")
    return name


def _scalar(name: str, value: Any) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, int):
        return value if abs(value) <= MAX_STEP else float(value)
    if not isinstance(value, float):
        value = _foreign(name, value)
        if isinstance(value, bool | int | str):
            return _scalar(name, value)
    return value if math.isfinite(value) else None


def _text(name: str, value: str) -> str:
    if len(value) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"result field {name!r}: a text may have {MAX_TEXT_CHARACTERS} characters, not {len(value)}")
    return value


def _foreign(name: str, value: Any) -> Any:
    """A scalar of NumPy or PyTorch as Python's own."""
    item = getattr(value, "item", None)
    try:
        plain = item() if callable(item) else None
    except (RuntimeError, TypeError, ValueError):
        plain = None
    if not isinstance(plain, bool | int | float | str):
        kind = type(value).__name__
        raise TypeError(f"result field {name!r}: a number, text, bool or None is needed, not {kind}")
    return plain
