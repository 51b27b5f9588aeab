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
        self.queued = Gauge("gpulab_queued_jobs", "Waiting jobs by reason.", ["reason"], registry=self.registry)
        self.events = Counter(
            "gpulab_job_events",
            "Events of jobs since the first request for metrics to this process; every process counts all of them.",
            ["type", "cause"],
            registry=self.registry,
        )
        self.newest_event: int | None = None
        self.gpus = Gauge("gpulab_gpus", "GPUs of nodes that are not down.", ["state"], registry=self.registry)
        self.gpu_memory = Gauge("gpulab_gpu_memory_bytes", "Memory of healthy GPUs.", ["kind"], registry=self.registry)
        self.files_wait = Gauge(
            "gpulab_jobs_waiting_for_store",
            "Running jobs whose files the artifact store does not accept.",
            registry=self.registry,
        )
        self.disk = Gauge(
            "gpulab_disk_user_bytes",
            "Bytes that users have stored, by kind and age.",
            ["kind", "age"],
            registry=self.registry,
        )
        self.disk_places = Gauge(
            "gpulab_disk_place_bytes", "Bytes in the lab's own folders.", ["place", "node"], registry=self.registry
        )
        self.disk_free = Gauge(
            "gpulab_disk_free_bytes",
            "Free bytes on the disks of those folders.",
            ["place", "node"],
            registry=self.registry,
        )
        self.leading = Gauge("gpulab_scheduler_leading", "Whether some scheduler leads.", registry=self.registry)
        self.database_up = Gauge("gpulab_database_up", "Whether PostgreSQL answered.", registry=self.registry)
        self.nodes = Gauge("gpulab_nodes", "Nodes.", ["state"], registry=self.registry)
        self.read_anew = (
            *(self.jobs, self.nodes, self.queued, self.gpus, self.gpu_memory),
            *(self.disk, self.disk_places, self.disk_free),
        )
        """Whose labels come and go."""

    def render(self) -> bytes:
        return generate_latest(self.registry)
