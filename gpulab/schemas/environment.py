"""What a student's program finds installed."""

from gpulab.schemas.base import Outgoing


class PackageRead(Outgoing):
    """A Python package."""

    name: str
    version: str


class EnvironmentRead(Outgoing):
    """An environment, and the nodes that have it."""

    python: str
    """Version of Python."""
    packages: list[PackageRead]
    """By name."""
    nodes: list[str]


class EnvironmentPage(Outgoing):
    """The environments of the nodes that run programs and are heard of; one if all are alike."""

    items: list[EnvironmentRead]
