"""Who may come in, and why not."""

import hmac
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from uuid import UUID

import structlog
from sqlalchemy import Engine

from gate.settings import GateSettings
from gpulab.names import checked
from gpulab.version import VERSION, fits
from models.composed import run
from models.database import DATABASE_AWAY
from models.statements import node_tokens
from server.joining.protocol import Answer, Hello, Purpose, Refusal

TOKEN_BYTES = 32
ACTOR = "system:gate"

log = structlog.get_logger()

_OTHER_LINE = (
    "the lab does not accept this join line: it was replaced, or it is another lab's. "
    "`gpulab share` prints the line that is valid, on the lab's machine"
)
_TAKEN = (
    "the lab has a machine called {node} already. Choose another name with --name. If {node} is this machine, "
    "an admin first withdraws its old access: gpulab nodes token {node} --revoke"
)
_WITHDRAWN = "the lab has withdrawn the access of {node}"
_SKEWED = (
    "Warning: this machine's clock is {seconds:.0f} s {direction} the lab's. Set it from a time server: "
    "until then the lab gives this machine no jobs."
)


class Admission:
    """`secret` reads the secret of the join line as it is now."""

    def __init__(self, settings: GateSettings, engine: Engine, secret: Callable[[], str]) -> None:
        self._settings = settings
        self._engine = engine
        self._secret = secret

    def judge(self, hello: Hello) -> tuple[Answer, UUID | None]:
        """The answer, and the token by which a node was let in."""
        if (refused := _unfit(hello)) is not None:
            return refused, None
        try:
            if hello.purpose is Purpose.JOIN:
                return self._joined(hello), None
            return self._known(hello)
        except DATABASE_AWAY:
            return Answer(refusal=Refusal.AWAY, message="the lab's database does not answer"), None

    def revoked(self, token_ids: list[UUID]) -> list[UUID]:
        """Those of the tokens that were withdrawn. Raises what the database raises when it is away."""
        with self._engine.begin() as connection:
            return list(run(connection, node_tokens.revoked_among, ids=token_ids).scalars())

    def _known(self, hello: Hello) -> tuple[Answer, UUID | None]:
        with self._engine.begin() as connection:
            found: UUID | None = run(
                connection, node_tokens.good, node=hello.node, digest=_digest(hello.proof)
            ).scalar()
        if found is None:
            return Answer(refusal=Refusal.TOKEN, message=_WITHDRAWN.format(node=hello.node)), None
        return Answer(message=self._clock_warning(hello), settings=dict(self._settings.shared)), found

    def _joined(self, hello: Hello) -> Answer:
        if not hmac.compare_digest(self._secret().encode(), hello.proof.encode()):
            return Answer(refusal=Refusal.SECRET, message=_OTHER_LINE)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._engine.begin() as connection:
            run(connection, node_tokens.one_at_a_time)
            if run(
                connection, node_tokens.is_taken, node=hello.node, silence_seconds=self._settings.lease_seconds
            ).scalar():
                return Answer(refusal=Refusal.NAME, message=_TAKEN.format(node=hello.node))
            run(connection, node_tokens.add, node=hello.node, digest=_digest(token), actor=ACTOR)
        log.info("gate.joined", node=hello.node)
        return Answer(token=token, message=self._clock_warning(hello))

    def _clock_warning(self, hello: Hello) -> str:
        off = hello.clock - time.time()
        if abs(off) <= self._settings.clock_skew_limit_seconds:
            return ""
        return _SKEWED.format(seconds=abs(off), direction="ahead of" if off > 0 else "behind")


def _unfit(hello: Hello) -> Answer | None:
    if not fits(VERSION, hello.version):
        words = f"the lab has gpulab {VERSION} and this machine has {hello.version}: install the lab's version here"
        return Answer(refusal=Refusal.VERSION, message=words)
    try:
        if not checked(hello.node):
            raise ValueError("it is empty")
    except ValueError as error:
        return Answer(refusal=Refusal.NAME, message=f"the name of this machine cannot be used ({error}): give --name")
    return None


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
