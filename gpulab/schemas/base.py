"""The two bases of the wire: what comes in is refused when it is not exactly right, what goes out may grow."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from gpulab.names import checked, composed

MAX_JSON_DEPTH = 16


def in_words(words: str) -> WrapValidator:
    """For text that has to match a pattern: what is said in its place to a user whose text does not."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            for one in error.errors(include_url=False):
                if one["type"] == "string_pattern_mismatch":
                    raise PydanticCustomError("string_pattern_mismatch", words, one["ctx"]) from None
            raise

    return WrapValidator(check)


class Incoming(BaseModel):
    """A request body: unknown fields and non-finite numbers are refused, and `"5"` or `true` is no number."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Outgoing(BaseModel):
    """A response body: a client must ignore fields it does not know."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


def _shallow(value: Any, depth: int = 1) -> Any:
    if depth > MAX_JSON_DEPTH:
        raise ValueError(f"nested deeper than {MAX_JSON_DEPTH} levels")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        _shallow(child, depth + 1)
    return value


def _composed(value: Any) -> Any:
    """Before its length is counted."""
    return composed(value) if isinstance(value, str) else value


Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, strip_whitespace=True),
    AfterValidator(checked),
    BeforeValidator(_composed),
]
"""A name, or another line that users read: composed (NFC), with one blank between words and nothing unseen."""
Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]
"""May exceed 2^53, so that a reader whose numbers are doubles must not read it as one."""
Seed = Annotated[Int64, Field(ge=0, lt=2**63)]
Tag = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$"),
    in_words("a tag has 1 to 64 of the characters a-z, A-Z, 0-9 and _.:/- and begins with a letter or a digit"),
]
JsonObject = Annotated[dict[str, Any], AfterValidator(_shallow)]
