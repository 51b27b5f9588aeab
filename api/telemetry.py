"""What Prometheus reads of one API process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

LATENCY_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)


class Telemetry:
    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gpulab_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "gpulab_http_request_seconds",
            "Time to the whole answer; held and streaming requests are left out.",
            ["method", "route"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.streams = Gauge("gpulab_http_streams", "Open event streams.", registry=self.registry)
        self.held = Gauge("gpulab_http_held_requests", "Requests held by ?wait=.", registry=self.registry)
        self.jobs = Gauge("gpulab_jobs", "Jobs that are not final.", ["state"], registry=self.registry)
        self.nodes = Gauge("gpulab_nodes", "Nodes.", ["state"], registry=self.registry)

    def render(self) -> bytes:
        return generate_latest(self.registry)
