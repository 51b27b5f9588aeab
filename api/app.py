"""The application: what it holds, which routes it serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from redis.asyncio import Redis

from api.assignments import routes as assignments
from api.audit import routes as audit
from api.auth.credentials import Credentials
from api.banners import routes as banners
from api.context import App
from api.courses import routes as courses
from api.deletion import routes as deletion
from api.disk import routes as disk
from api.environment import routes as environment
from api.erasure import routes as erasure
from api.estimates import routes as estimates
from api.estimates.pending import PendingEstimates
from api.experiments import routes as experiments
from api.experiments import service as catalogue
from api.exports import routes as exports
from api.grades import routes as grades
from api.health import routes as health
from api.health.telemetry import Telemetry
from api.http import openapi, rendering
from api.http.base_path import BelowPath
from api.http.long_answers import Unread
from api.http.middleware import RequestBoundary
from api.job_table import routes as job_table
from api.jobs import queue_routes as lab_queue
from api.jobs import routes as jobs
from api.jobs.announcer import Announcer
from api.jobs.submission_batches import SubmissionBatches
from api.lab_errors import routes as lab_errors
from api.lab_hours import routes as lab_hours
from api.limits.body_turns import BodyTurns
from api.limits.buckets import Buckets, BucketSync
from api.limits.open_answers import OpenAnswers
from api.limits.request_rate import RequestRate
from api.limits.shared_answer import SharedAnswer
from api.limits.shared_work import KeptBodies, SharedWork
from api.limits.sign_ins import ADDRESS_FACTOR, SignIns
from api.limits.turns import HeavyWork, Turns
from api.live import routes as streams
from api.live.hub import Hub
from api.live.stream_guard import StreamGuard
from api.nodes import routes as nodes
from api.nodes.hardware import KnownHardware
from api.notifications import routes as notifications
from api.programs import routes as programs
from api.question_sets import routes as question_sets
from api.question_sets import service as installed_question_sets
from api.results import routes as results
from api.roster import routes as roster
from api.sessions import openid_routes
from api.sessions import routes as sessions
from api.sql.database import Database
from api.students import routes as students
from api.studies import routes as studies
from api.studies.known_results import KnownResults
from api.timeline import routes as timeline
from api.timeline.readings import Readings
from api.tokens import routes as tokens
from api.users import routes as users
from api.web import client_files, dashboard, docs
from gpulab.version import VERSION
from models.settings import ApiSettings
from models.store import open_store

if TYPE_CHECKING:
    from api.sessions.openid import OpenId

METRICS_SECONDS = 1.0
"""Metrics are computed no more often than this."""
DISK_SECONDS = 300.0
"""So is where the disk goes, which reads whole tables."""
SHARE_OF_ONE = 3
"""One user has a third of the connections at most."""
MAX_CONCURRENT_EXPORTS = 2
"""Of all that a user has; each reads for seconds, and is sent as fast as its reader takes it."""
MAX_CONCURRENT_TABLES = 2
"""Statements of the table of jobs, each of which may take seconds."""
WATCHING_CONNECTIONS = 2
"""One for the guard of streams, one for the hub's look at jobs that requests are held for."""
DESCRIPTION = """
Submit experiments as data, follow them, and read what they found.

Errors are `application/problem+json` with a stable `type`. Times are RFC 3339 UTC, memory is bytes. Lists use opaque
cursors. Reads carry an ETag and answer `If-None-Match` with 304.
"""


# The busiest first: each request is held against their routes in this order.
ROUTERS = (
    environment.router,
    jobs.router,
    job_table.router,
    lab_queue.router,
    results.router,
    nodes.router,
    timeline.router,
    lab_hours.router,
    streams.router,
    estimates.router,
    experiments.router,
    question_sets.router,
    studies.router,
    programs.router,
    users.router,
    tokens.router,
    sessions.router,
    roster.router,
    courses.router,
    assignments.router,
    students.router,
    grades.router,
    audit.router,
    disk.router,
    lab_errors.router,
    banners.router,
    notifications.router,
    deletion.router,
    exports.router,
    erasure.router,
    sessions.opening,
    openid_routes.router,
    openid_routes.starting,
    openid_routes.returning,
    health.router,
)


def create_app(settings: ApiSettings) -> FastAPI:
    """The API. Nothing is connected before its lifespan begins."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Read now, so that a broken catalogue keeps the process from starting, and no request waits for it.
        catalogue.page()
        installed_question_sets.page()
        held = _open(settings, telemetry)
        app.state.app = held
        parts = (held.hub, held.stream_guard, held.bucket_sync)
        for part in parts:
            part.start()
        try:
            yield
        finally:
            for part in reversed(parts[1:]):
                await part.stop()
            await held.hub.stop()
            await held.submission_batches.finish()
            await held.announcer.finish()
            await held.redis.aclose()
            await held.database.close()
            await held.watching.close()

    telemetry = Telemetry()
    app = FastAPI(
        title="gpulab",
        version=VERSION,
        summary="A job queue for the GPU experiments of a deep-learning class.",
        description=DESCRIPTION.strip(),
        lifespan=lifespan,
        # The routes of `api.http.openapi` serve the contract.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # As they are: `include_router` would build every one of them once more at the first request.
        routes=[route for router in ROUTERS for route in router.routes],
    )
    app.state.public_url = settings.public_url
    app.add_middleware(RequestBoundary, telemetry=telemetry)
    rendering.install(app)
    openapi.install(app, settings.root_path)
    client_files.install(app)
    docs.install(app)
    dashboard.install(app)
    # The last one added is the outermost.
    app.add_middleware(BelowPath, root_path=settings.root_path)
    return app


def _open(settings: ApiSettings, telemetry: Telemetry) -> App:
    database = Database(
        settings.libpq_url, pool_size=settings.pool_size, of_one=max(1, settings.pool_size // SHARE_OF_ONE)
    )
    # What watches over open answers waits for no request.
    watching = Database(settings.libpq_url, pool_size=WATCHING_CONNECTIONS)
    hub = Hub(settings.libpq_url, watching)
    credentials = Credentials(database, hub)
    heavy = HeavyWork()
    redis = Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2)
    failures = settings.failed_sign_ins_per_minute
    requests = Buckets("requests", settings.requests_per_second, settings.request_burst)
    strangers = Buckets("strangers", settings.stranger_requests_per_second, settings.stranger_request_burst)
    by_token = Buckets("sign-ins-by-token", failures / 60, failures)
    by_address = Buckets("sign-ins-by-address", ADDRESS_FACTOR * failures / 60, ADDRESS_FACTOR * failures)
    return App(
        settings=settings,
        database=database,
        watching=watching,
        announcer=Announcer(database),
        submission_batches=SubmissionBatches(database, max_queued=settings.max_queued),
        hub=hub,
        credentials=credentials,
        stream_guard=StreamGuard(hub, watching),
        hardware=KnownHardware(database, silence_seconds=settings.lease_seconds),
        readings=Readings(database),
        known_results=KnownResults(database, heavy),
        heavy=heavy,
        shared_work=SharedWork(),
        studies=KeptBodies(),
        pending_estimates=PendingEstimates(database, of_user=settings.max_pending_estimates),
        open_answers=OpenAnswers(of_all=settings.stream_limit, of_user=settings.open_per_user),
        openid=_openid(settings),
        table_turns=Turns(MAX_CONCURRENT_TABLES, of_one=1),
        export_turns=Turns(MAX_CONCURRENT_EXPORTS, of_one=1),
        sign_ins=SignIns(by_token, by_address),
        store=open_store(settings.artifacts_url),
        redis=redis,
        request_rate=RequestRate(requests),
        stranger_rate=RequestRate(strangers),
        body_turns=BodyTurns(),
        unread=Unread(),
        bucket_sync=BucketSync(redis, (requests, strangers, by_token, by_address)),
        telemetry=telemetry,
        readiness=SharedAnswer(),
        metrics=SharedAnswer(METRICS_SECONDS),
        disk=SharedAnswer(DISK_SECONDS),
    )


def _openid(settings: ApiSettings) -> "OpenId | None":
    """Its libraries take 7 MB, which a lab without a provider does not need."""
    secret = settings.openid_client_secret
    if not settings.openid_issuer or not settings.openid_client_id or secret is None:
        return None
    from api.sessions.openid import OpenId

    return OpenId(settings, settings.openid_issuer, secret.get_secret_value())
