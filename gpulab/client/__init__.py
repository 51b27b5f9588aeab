"""The Python client."""

from gpulab.client.client import Client
from gpulab.client.events import Change
from gpulab.client.job import Job
from gpulab.client.series import Metrics, Samples
from gpulab.client.study import Study

__all__ = ["Change", "Client", "Job", "Metrics", "Samples", "Study"]
