"""What travels over HTTP, shared by the server and the client. Times are RFC 3339 UTC, memory is bytes."""

from gpulab.schemas.experiments import ExperimentDetail, ExperimentPage, ExperimentSummary, MetricRead
from gpulab.schemas.health import HealthRead, ReadyRead
from gpulab.schemas.jobs import (
    ArtifactPage,
    ArtifactRead,
    DryRunRead,
    EventPage,
    EventRead,
    JobCreate,
    JobPage,
    JobRead,
    JobSummary,
    LogRead,
    ProgressRead,
    QueueRead,
)
from gpulab.schemas.nodes import DrainOrder, GpuPage, GpuRead, NodePage, NodeRead
from gpulab.schemas.people import MeRead
from gpulab.schemas.problems import InvalidField, Problem
from gpulab.schemas.series import MetricsRead, PhaseRead, SamplesRead, SampleTrack, SeriesRead
from gpulab.schemas.studies import (
    CellRead,
    NamedRunRead,
    QuestionProgressRead,
    SeedsAdd,
    StatisticRead,
    StudyCreate,
    StudyPage,
    StudyRead,
    StudyReportRead,
    StudySummary,
)

__all__ = [
    "ArtifactPage",
    "ArtifactRead",
    "CellRead",
    "DrainOrder",
    "DryRunRead",
    "EventPage",
    "EventRead",
    "ExperimentDetail",
    "ExperimentPage",
    "ExperimentSummary",
    "GpuPage",
    "GpuRead",
    "HealthRead",
    "InvalidField",
    "JobCreate",
    "JobPage",
    "JobRead",
    "JobSummary",
    "LogRead",
    "MeRead",
    "MetricRead",
    "MetricsRead",
    "NamedRunRead",
    "NodePage",
    "NodeRead",
    "PhaseRead",
    "Problem",
    "ProgressRead",
    "QuestionProgressRead",
    "QueueRead",
    "ReadyRead",
    "SampleTrack",
    "SamplesRead",
    "SeedsAdd",
    "SeriesRead",
    "StatisticRead",
    "StudyCreate",
    "StudyPage",
    "StudyRead",
    "StudyReportRead",
    "StudySummary",
]
