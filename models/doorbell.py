"""The Celery application: two tasks, whose messages say no more than 'look at this job, with this token' or 'look at
this estimate'.

A message is a hint. Losing it costs the time until the scheduler rings again; repeating it finds the lease claimed.
"""

from uuid import UUID

from celery import Celery

RUN_TASK = "job.run"
ESTIMATE_TASK = "estimate.answer"
RETAIN_TASK = "lab.retain"


def celery_app(redis_url: str) -> Celery:
    """The app by which the scheduler rings and the worker listens: no results, no remote control, no late acks."""
    app = Celery("gpulab", broker=redis_url.replace("unix://", "redis+socket://", 1))
    app.conf.update(
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 10, "retry_on_timeout": False},
        enable_utc=True,
    )
    return app


def queue_of(node: str) -> str:
    """The queue that the worker of `node` listens to."""
    return f"node.{node}"


def ring(app: Celery, *, node: str, job_id: UUID, lease_token: UUID, expires_seconds: float) -> None:
    """Notify a node's worker of its lease.

    Raises:
        kombu.exceptions.OperationalError: Redis cannot be reached; the lease stays, the bell rings again later.
    """
    _send(app, RUN_TASK, node, [str(job_id), str(lease_token)], expires_seconds)


def ring_for_estimate(app: Celery, *, node: str, estimate_id: UUID, is_program: bool, expires_seconds: float) -> None:
    """Notify a node's worker of a waiting question, and whether it is about a student's program.

    Raises as `ring`; the question stays.
    """
    _send(app, ESTIMATE_TASK, node, [str(estimate_id), is_program], expires_seconds)


def ring_for_retention(app: Celery, *, node: str, only_deleted: bool, expires_seconds: float) -> None:
    """Ask a node's worker to delete expired data, or only what users deleted. Raises as `ring`; the next sweep comes
    anyway."""
    _send(app, RETAIN_TASK, node, [only_deleted], expires_seconds)


def _send(app: Celery, task: str, node: str, arguments: list[str | bool], expires_seconds: float) -> None:
    app.send_task(task, args=arguments, queue=queue_of(node), expires=expires_seconds, retry=False, ignore_result=True)
