"""The catalogue on the wire."""

from typing import Any

from gpulab.schemas.base import Outgoing


class MetricRead(Outgoing):
    name: str
    unit: str
    direction: str
    description: str


class ExperimentSummary(Outgoing):
    slug: str
    title: str
    summary: str
    questions: list[str]
    gpu: str
    """`none`, `preferred` or `exclusive`."""
    has_picture: bool = False
    """Whether `/v1/experiments/{slug}/picture` has one."""


class ExperimentDetail(ExperimentSummary):
    spec_schema: dict[str, Any]
    """JSON Schema of the spec, one sentence a field."""
    result_schema: dict[str, Any]
    metrics: list[MetricRead]
    default_time_limit_seconds: int


class ExperimentPage(Outgoing):
    items: list[ExperimentSummary]
    broken: list[dict[str, str]]
    """Plug-ins that could not be loaded, with the reason."""
