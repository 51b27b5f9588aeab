"""gpulab: a job queue for the GPU experiments of a deep-learning class. This package is its public face.

`gpulab.Client()` submits and follows jobs. Names load on first use, so that `import gpulab` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpulab.client import Change, Client, Job, Metrics, Samples, Study
    from gpulab.errors import (
        ConfigurationError,
        Conflict,
        DownloadFailed,
        Forbidden,
        GpulabError,
        InvalidRequest,
        JobFailed,
        LabUnreachable,
        NotFound,
        Refused,
        ServerError,
        TooManyRequests,
        Unauthenticated,
        UnexpectedAnswer,
        VersionMismatch,
        WaitTimeout,
    )
    from gpulab.states import FailureCause, JobState, Priority, Role

__all__ = [
    "Change",
    "Client",
    "ConfigurationError",
    "Conflict",
    "DownloadFailed",
    "FailureCause",
    "Forbidden",
    "GpulabError",
    "InvalidRequest",
    "Job",
    "JobFailed",
    "JobState",
    "LabUnreachable",
    "Metrics",
    "NotFound",
    "Priority",
    "Refused",
    "Role",
    "Samples",
    "ServerError",
    "Study",
    "TooManyRequests",
    "Unauthenticated",
    "UnexpectedAnswer",
    "VersionMismatch",
    "WaitTimeout",
]

_HOMES = {
    **dict.fromkeys(
        ("Change", "Client", "Job", "Metrics", "Samples", "Study"),
        "gpulab.client",
    ),
    **dict.fromkeys(("FailureCause", "JobState", "Priority", "Role"), "gpulab.states"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gpulab' has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "gpulab.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
