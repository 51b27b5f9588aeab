"""Server-sent events."""

from fastapi import APIRouter, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http.openapi import problems
from api.http.parameters import JobId, LastEventId
from api.http.problems import JobNotFound, TooManyOpen, TooManyStreams
from api.http.routing import LabRoute
from api.jobs import service as jobs
from api.live import stream
from gpulab.states import JobState

router = APIRouter(prefix="/v1", tags=["streams"], route_class=LabRoute)

EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["job", "records", "resync", "ready"]},
        "id": {"type": "string", "description": "Where to resume, as in `Last-Event-ID`."},
        "data": {"type": "string", "description": "JSON: `job_id`, and of a `job` event `event_id, version, state`."},
        "retry": {"type": "integer"},
    },
}
EVENTS = {
    "description": "Events `job` (with an id), `records`, `resync`, `ready`; comments keep the connection alive.",
    "content": {"text/event-stream": {"schema": EVENT}},
}


@router.get(
    "/stream",
    operation_id="stream_jobs",
    response_class=Response,
    responses={200: EVENTS, **problems(TooManyOpen, TooManyStreams)},
)
async def stream_jobs(app: TheApp, principal: ThePrincipal, last_event_id: LastEventId = None) -> Response:
    """Notices of every job that you may see. They say that something changed; read it where it is."""
    return stream.EventStream(app, principal, stream.of_all(app, principal, last_event_id))


@router.get(
    "/jobs/{job_id}/stream",
    operation_id="stream_job",
    response_class=Response,
    responses={
        200: EVENTS,
        204: {"description": "The job is final and you have its last event: do not reconnect."},
        **problems(JobNotFound, TooManyOpen, TooManyStreams),
    },
)
async def stream_job(
    app: TheApp, principal: ThePrincipal, job_id: JobId, last_event_id: LastEventId = None
) -> Response:
    """Notices of one job; ends after its final state."""
    job = await jobs.visible(app, principal, job_id)
    if await stream.is_over(app, job_id, JobState(job.state), last_event_id):
        return Response(status_code=204)
    return stream.EventStream(app, principal, stream.of_job(app, principal, job_id, last_event_id))
