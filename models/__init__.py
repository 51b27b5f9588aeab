"""The tables, one a file, and the statements over them, shared by the async API and the sync scheduler and worker."""

from models.artifact import Artifact, Checkpoint
from models.assignment import Assignment, Submission
from models.audit import AuditEvent
from models.base import Base
from models.estimate import Estimate, MeasuredPeak
from models.event import JobEvent
from models.job import Job
from models.lease import Lease
from models.node import Gpu, Node, NodeEvent, NodeToken
from models.program import Program, ProgramUpload
from models.series import LogChunk, MetricChunk, Phase, SampleChunk
from models.study import Study, StudyRun
from models.usage import Usage
from models.user import BrowserSession, Token, User

__all__ = [
    "Artifact",
    "Assignment",
    "AuditEvent",
    "Base",
    "BrowserSession",
    "Checkpoint",
    "Estimate",
    "Gpu",
    "Job",
    "JobEvent",
    "Lease",
    "LogChunk",
    "MeasuredPeak",
    "MetricChunk",
    "Node",
    "NodeEvent",
    "NodeToken",
    "Phase",
    "Program",
    "ProgramUpload",
    "SampleChunk",
    "Study",
    "StudyRun",
    "Submission",
    "Token",
    "Usage",
    "User",
]
