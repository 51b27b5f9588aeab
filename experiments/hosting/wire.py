"""What passes between a worker and a job's process: the order to run goes in, records and samples come out.

Both files lie in the run directory, where the experiment can write too. So the reader trusts nothing: a line that is
no record costs itself and nothing else, and whatever it hands on can be stored in PostgreSQL.
"""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from experiments.contract import SPEC_FILE
from gpulab.run.values import ARTIFACT_NAME, METRIC_NAME
from gpulab.schemas.memory import Constants, OutOfMemoryRead
from gpulab.states import FailureCause

MAX_LINE_BYTES = 4 * 2**20
"""Of one record or sample; a longer line is passed over."""
MAX_INTEGER = 2**63 - 1
BYTES = "application/octet-stream"
_PART = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*"
MEDIA_TYPE = re.compile(f"{_PART}/{_PART}(; ?{_PART}={_PART})*")


class RunOrder(BaseModel):
    """What a job's process is asked to run: the content of `spec.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment: str
    spec: dict[str, Any]
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    datasets_folder: Path
    cache_folder: Path
    job_id: UUID | None = None
    """Null outside of a lab, and for what the lab asks for itself."""
    attempt: int = 1
    gpu_memory_bytes: int | None = None
    """What the job reserved on each of its GPUs; null for whole GPUs."""
    host_memory_bytes: int | None = None
    """What its processes may hold of the host's memory together; null for no limit."""
    gpu_constants: Constants | None = None

    def write(self, folder: Path) -> None:
        """Put it where `read` finds it."""
        (folder / SPEC_FILE).write_text(self.model_dump_json(exclude_none=True, indent=1), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        return cls.model_validate_json((folder / SPEC_FILE).read_bytes())


def clean(value: Any) -> Any:
    """The same with words that PostgreSQL and UTF-8 can hold, and without numbers that JSON cannot.

    An integer beyond 64 bits becomes text: readers of JSON round it, or refuse the whole of it.
    """
    match value:
        case str():
            return clean_text(value)
        case float():
            return value if value - value == 0 else None
        case int() if not -(2**63) <= value < 2**64:
            return str(value)
        case Mapping():
            return {clean_text(str(name)): clean(part) for name, part in value.items()}
        case list() | tuple():
            return [clean(part) for part in value]
    return value


def clean_text(text: str) -> str:
    """Bytes that were no UTF-8, which Python keeps as lone surrogates, are shown as escapes; NUL as U+FFFD."""
    if "\0" not in text and text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\ufffd")


def _known_failure(value: Any) -> dict[str, Any] | None:
    """What cannot be read of an explanation costs the explanation, and not the record."""
    if value is None:
        return None
    try:
        found = OutOfMemoryRead.model_validate(clean(value)).model_dump(mode="json")
        orjson.dumps(found)  # refuses integers beyond 64 bits, as its readers do
    except (ValidationError, TypeError):
        return None
    return found


def _media_type(given: str) -> str:
    """One that a header can hold; a file is readable whatever its run calls it."""
    return given if MEDIA_TYPE.fullmatch(given) else BYTES


Text = Annotated[str, AfterValidator(clean_text)]
Time = Annotated[float, Field(ge=0, lt=253_402_300_800, allow_inf_nan=False)]
"""Seconds since the epoch, up to the year 9999."""
Count = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Size = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
FileName = Annotated[str, Field(pattern=f"^{ARTIFACT_NAME}$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)

    time: Time | None = None


class Started(_Record):
    type: Literal["started"]
    device: Text = ""
    versions: dict[Text, Text] = {}


class Resumed(_Record):
    type: Literal["resumed"]
    step: Count


class Metric(_Record):
    type: Literal["metric"]
    time: Time
    step: Count
    values: dict[Annotated[str, Field(pattern=f"^{METRIC_NAME}$")], float]
    """A number that JSON has no word for comes as a string, as `float` reads it."""


class Progress(_Record):
    type: Literal["progress"]
    fraction: Annotated[float, Field(ge=0, le=1)]
    message: Annotated[Text, Field(max_length=1000)] = ""


class Phase(_Record):
    type: Literal["phase"]
    time: Time
    name: Annotated[Text, Field(max_length=200)]


class _Levels(_Record):
    """Sizes under names that end in `_bytes`, beside the time."""

    model_config = ConfigDict(frozen=True, extra="allow")

    time: Time
    __pydantic_extra__: dict[str, Any] = Field(init=False)

    def levels(self) -> dict[str, int | None]:
        """The sizes by name."""
        extra = self.__pydantic_extra__ or {}
        return {clean_text(name): size for name, size in extra.items() if name.endswith("_bytes") and _is_size(size)}


class Memory(_Levels):
    type: Literal["memory"]


class Predicted(_Levels):
    type: Literal["prediction"]


class File(_Record):
    """A file of the run that is complete."""

    type: Literal["artifact"]
    name: FileName
    size_bytes: Size
    sha256: Digest
    media_type: Annotated[str, Field(max_length=200), AfterValidator(_media_type)] = BYTES


class CheckpointFile(_Record):
    type: Literal["checkpoint"]
    time: Time
    step: Count
    name: FileName
    size_bytes: Size
    sha256: Digest


class Warned(_Record):
    """Something that the owner should know; the run goes on."""

    type: Literal["warning"]
    message: Annotated[Text, Field(max_length=2000)]


class Succeeded(_Record):
    """The run has its result."""

    type: Literal["result"]
    value: Annotated[dict[str, Any], AfterValidator(clean)]


class Failed(_Record):
    """The run failed, by its own fault."""

    type: Literal["error"]
    message: Text
    cause: FailureCause = FailureCause.ERROR
    traceback: Text = ""
    failure: Annotated[dict[str, Any] | None, BeforeValidator(_known_failure)] = None
    """An `OutOfMemoryRead`."""


class Disturbed(_Record):
    """The run could not continue, but is not at fault: a full disk, a lost GPU."""

    type: Literal["disturbed"]
    message: Text
    gpus_unusable: bool = False
    """Whether it could not use the GPUs of its lease at all."""


class Stopped(_Record):
    """The run was asked to stop, and did."""

    type: Literal["stopped"]
    message: Text = ""


Ending = Succeeded | Failed | Disturbed | Stopped
Record = (
    Started | Resumed | Metric | Progress | Phase | Memory | Predicted | File | CheckpointFile | Warned
    | Succeeded | Failed | Disturbed | Stopped
)  # fmt: skip


class Sample(BaseModel):
    """One reading of the sampler."""

    model_config = ConfigDict(frozen=True)

    time: Time
    source: Annotated[Text, Field(max_length=50)]
    gpu: Text | None = None
    values: Annotated[dict[str, int | float | None], AfterValidator(clean)]
    reasons: dict[Text, Text] = {}


def encode(kind: str, fields: Mapping[str, Any]) -> bytes:
    """One line for `RecordReader`. Raises `ValueError` for what JSON cannot say, and for a line that is too long."""
    record = {"time": time.time(), "type": kind, **fields}
    try:
        line = orjson.dumps(record) if kind == "metric" else _dumped(record)
    except TypeError:
        line = _dumped(record)
    if len(line) >= MAX_LINE_BYTES:
        raise ValueError(f"a record of type {kind} may take {MAX_LINE_BYTES} bytes, and this one takes {len(line)}")
    return line + b"\n"


def _dumped(record: dict[str, Any]) -> bytes:
    return json.dumps(clean(record), separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


def _is_size(value: Any) -> bool:
    return value is None or (isinstance(value, int) and 0 <= value <= MAX_INTEGER)
