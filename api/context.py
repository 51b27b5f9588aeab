"""What one API process holds for all its requests."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from obstore.store import ObjectStore
from redis.asyncio import Redis

from api.auth.credentials import Credentials
from api.estimates.pending import PendingEstimates
from api.health.telemetry import Telemetry
from api.http.long_answers import Unread
from api.jobs.announcer import Announcer
from api.jobs.submission_batches import SubmissionBatches
from api.limits.body_turns import BodyTurns
from api.limits.buckets import BucketSync
from api.limits.open_answers import OpenAnswers
from api.limits.request_rate import RequestRate
from api.limits.shared_answer import SharedAnswer
from api.limits.shared_work import KeptBodies, SharedWork
from api.limits.sign_ins import SignIns
from api.limits.turns import HeavyWork, Turns
from api.live.hub import Hub
from api.live.stream_guard import StreamGuard
from api.nodes.hardware import KnownHardware
from api.sql.database import Database
from api.studies.known_results import KnownResults
from api.timeline.readings import Readings
from gpulab.schemas import DiskRead, ReadyRead
from models.settings import ApiSettings

if TYPE_CHECKING:
    from api.sessions.openid import OpenId


@dataclass(frozen=True, slots=True)
class App:
    settings: ApiSettings
    database: Database
    watching: Database
    """The same database, on connections that no request takes."""
    announcer: Announcer
    submission_batches: SubmissionBatches
    hub: Hub
    credentials: Credentials
    stream_guard: StreamGuard
    hardware: KnownHardware
    readings: Readings
    """How busy the GPUs were."""
    known_results: KnownResults
    open_answers: OpenAnswers
    pending_estimates: PendingEstimates
    heavy: HeavyWork
    shared_work: SharedWork
    studies: KeptBodies
    """Studies as they were read last."""
    table_turns: Turns
    """Of readers of the table of jobs, each of which may take seconds of the database."""
    export_turns: Turns
    """Of readers of all that a user has."""
    sign_ins: SignIns
    openid: "OpenId | None"
    """The university's sign-in, if the lab has one."""
    store: ObjectStore
    redis: Redis
    request_rate: RequestRate
    """Of each user."""
    stranger_rate: RequestRate
    """Of each address, for those who have not signed in."""
    body_turns: BodyTurns
    unread: Unread
    bucket_sync: BucketSync
    telemetry: Telemetry
    readiness: SharedAnswer[ReadyRead]
    metrics: SharedAnswer[bytes]
    disk: SharedAnswer[DiskRead]
    """Of the whole lab."""


async def _app(request: Request) -> App:
    app: App = request.app.state.app
    return app


TheApp = Annotated[App, Depends(_app)]
