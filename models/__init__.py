"""The tables and the statements over them, shared by the async API and the sync scheduler and worker."""

from models.tables.artifact import Artifact, Checkpoint, DeletedFile
from models.tables.assignment import Assignment, Extension, Grade, Submission
from models.tables.audit import AuditEvent
from models.tables.base import Base
from models.tables.courses import Course, CourseMember
from models.tables.estimate import Estimate, MeasuredPeak
from models.tables.event import JobEvent
from models.tables.job import Job
from models.tables.lab_error import LabError
from models.tables.lab_hours import LabHours
from models.tables.lease import Lease, PastUse
from models.tables.node import Gpu, GpuMinute, Node, NodeEvent, NodeToken
from models.tables.notifications.banner import Banner
from models.tables.notifications.outbox import Notification, NotificationChannel
from models.tables.program import Program, ProgramUpload
from models.tables.series import LogChunk, MetricChunk, Phase, SampleChunk
from models.tables.study import Study, StudyRun
from models.tables.user import BrowserSession, Token, Usage, User

__all__ = [
    "Artifact",
    "Assignment",
    "AuditEvent",
    "Banner",
    "Base",
    "BrowserSession",
    "Checkpoint",
    "Course",
    "CourseMember",
    "DeletedFile",
    "Estimate",
    "Extension",
    "Gpu",
    "GpuMinute",
    "Grade",
    "Job",
    "JobEvent",
    "LabError",
    "LabHours",
    "Lease",
    "LogChunk",
    "MeasuredPeak",
    "MetricChunk",
    "Node",
    "NodeEvent",
    "NodeToken",
    "Notification",
    "NotificationChannel",
    "PastUse",
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
