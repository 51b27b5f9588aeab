"""Predictions of GPU memory on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field

from gpulab.schemas.base import Incoming, JsonObject, Line, Outgoing
from gpulab.schemas.memory import BytesInterval, GpuVerdict, ModuleMemory, Parts, PhaseLevel

MAX_GPUS_ASKED = 20


class EstimateState(StrEnum):
    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    NOT_PREDICTED = "not_predicted"
    """Nothing to predict, or nothing known about it."""


class EstimateCreate(Incoming):
    """What the memory is asked of: a submission without the rest."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"experiment": "model-memory", "spec": {"batch_size": 64}, "gpus": ["T4"]}]}
    )

    experiment: Line
    """Slug of the experiment, from `/v1/experiments`."""
    spec: JsonObject = Field(default_factory=dict)
    """Parameters, as for a job."""
    gpus: Annotated[list[Line], Field(max_length=MAX_GPUS_ASKED)] = Field(default_factory=list)
    """GPU models to judge besides those of the lab, such as `T4` or `NVIDIA A100-SXM4-40GB`; `A100` is those of either
    memory. Where the lab has the model, its own GPU is meant, with what its node measured of it."""


class EstimateRead(Outgoing):
    """The predicted peak of GPU memory. What is not known is null, and `reason` says why."""

    id: UUID | None
    state: EstimateState
    reason: str | None
    """Why there is no prediction."""
    experiment: str | None
    """Null in an answer to a question by id: several experiments may share one prediction."""
    workload: dict[str, Any] | None
    """What is trained: model, batch, optimizer, precision. Of a student's own program: `experiment` and `spec`."""
    peak_allocated_bytes: int | None
    """What `torch.cuda.max_memory_allocated` will show."""
    peak_reserved_bytes: int | None
    """What `torch.cuda.max_memory_reserved` will show."""
    peak_device_bytes: BytesInterval | None
    """What the device will show in use by the run, on a typical GPU."""
    peak_phase: str | None
    """The phase of the step that the peak falls into."""
    parts: Parts | None
    phases: list[PhaseLevel] | None
    """The allocator phase by phase."""
    modules: list[ModuleMemory] | None
    """Which modules hold the peak, in the order of their definition; small ones are counted together."""
    card: str | None
    """The emulated card that the steps were taken on."""
    claimed_by_program: bool | None
    """Whether a student's program measured itself, in its sandbox: then the lab cannot vouch for it."""
    assumptions: list[str] | None
    """What the prediction of a program takes for granted, in words."""
    reasons: dict[str, str] | None
    """Why a field of a prediction is null, by its name."""
    gpus: list[GpuVerdict]
    """The lab's GPU models, then those that were named: those with a verdict so far."""
    gpus_pending: list[str] = Field(default_factory=list)
    """Of a pending estimate, the GPUs without a verdict: a student's program is measured on one model after another."""
    software: str | None
    """The versions that the steps were taken with."""
    asked_at: datetime | None


class GpuModelRead(Outgoing):
    """A GPU model that estimates know, whether the lab has one or not."""

    name: str
    total_bytes: int
    """Its memory, as the driver counts it."""


class GpuModelsRead(Outgoing):
    """The smallest first."""

    items: list[GpuModelRead]


class JobEstimateRead(Outgoing):
    """What a job is predicted to take."""

    id: UUID
    url: str
    """Where the whole prediction is."""
    state: EstimateState
    peak_device_bytes: BytesInterval | None
    """What the device will show in use by the run, on a typical GPU; null until it is there."""


class AccuracyPoint(Outgoing):
    """One run: what its GPU was predicted to show, and showed."""

    at: datetime
    predicted_bytes: int
    """Likely peak of the device."""
    measured_bytes: int | None
    """The run's peak as the driver reported it; null if it reported none."""
    predicted_allocated_bytes: int
    allocated_bytes: int | None
    """The allocator's peak; null where the run recorded none."""


class AccuracyRow(Outgoing):
    """The lab's own error for one model family on one GPU model."""

    family: str
    gpu: str
    runs: int
    """Of the latest, those with a measured peak of the device."""
    median_error: float | None
    """Of measured / predicted - 1, of the device's peak; null without runs."""
    p95_error: float | None
    """95th percentile of the same; above zero means predicted too little."""
    median_allocated_error: float | None
    """As `median_error`, of the allocator's peak."""
    margin: float
    """What is reserved beyond the likely peak, as a share of it."""
    points: list[AccuracyPoint]
    """The latest runs, oldest first."""


class AccuracyRead(Outgoing):
    """How well the lab predicts."""

    items: list[AccuracyRow]
