"""The Python client: `Client` blocks, `AsyncClient` awaits; both carry out the same operations."""

from gpulab.client.async_study import AsyncStudy
from gpulab.client.asynchronous import AsyncClient, AsyncJob
from gpulab.client.events import Change
from gpulab.client.series import Metrics, Samples
from gpulab.client.study import Study
from gpulab.client.sync import Client, Job

__all__ = ["AsyncClient", "AsyncJob", "AsyncStudy", "Change", "Client", "Job", "Metrics", "Samples", "Study"]
