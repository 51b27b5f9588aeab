"""What one API process holds for all its requests."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from obstore.store import ObjectStore
from redis.asyncio import Redis

from api.announcer import Announcer
from api.asked_estimates import AskedEstimates
from api.body_turns import BodyTurns
from api.buckets import Sharing
from api.credentials import Credentials
from api.database import Database
from api.hardware import KnownHardware
from api.hub import Hub
from api.intake import Intake
from api.known_results import KnownResults
from api.openid import OpenId
from api.places import Places
from api.request_rate import RequestRate
from api.shared_answer import SharedAnswer
from api.shared_work import KeptBodies, SharedWork
from api.sign_ins import SignIns
from api.stream_guard import StreamGuard
from api.telemetry import Telemetry
from api.turns import HeavyWork
from api.whole import Unread
from gpulab.schemas import ReadyRead
from models.settings import ApiSettings


@dataclass(frozen=True, slots=True)
class Lab:
    settings: ApiSettings
    database: Database
    watching: Database
    """The same database, on connections that no request takes."""
    announcer: Announcer
    intake: Intake
    hub: Hub
    credentials: Credentials
    stream_guard: StreamGuard
    hardware: KnownHardware
    known_results: KnownResults
    places: Places
    asked_estimates: AskedEstimates
    heavy: HeavyWork
    shared_work: SharedWork
    studies: KeptBodies
    """Studies as they were read last."""
    sign_ins: SignIns
    openid: OpenId
    store: ObjectStore
    redis: Redis
    request_rate: RequestRate
    """Of each person."""
    stranger_rate: RequestRate
    """Of each address, for those who have not signed in."""
    body_turns: BodyTurns
    unread: Unread
    sharing: Sharing
    telemetry: Telemetry
    readiness: SharedAnswer[ReadyRead]
    metrics: SharedAnswer[bytes]


async def _lab(request: Request) -> Lab:
    lab: Lab = request.app.state.lab
    return lab


TheLab = Annotated[Lab, Depends(_lab)]
