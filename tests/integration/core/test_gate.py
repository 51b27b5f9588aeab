"""The gate of a shared lab and the tunnel of a machine that joins, before real servers and a real folder of files."""

import asyncio
import os
import ssl
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
import redis
from obstore.store import LocalStore
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine

from gate.admission import Admission
from gate.postgres import ROLE, grant
from gate.server import Gate, Servers
from gate.settings import GateSettings
from gpulab.version import VERSION
from models.database import sync_engine
from models.statements import node_tokens
from server.joining.identity import Identity, server_context
from server.joining.join_line import Address
from server.joining.protocol import Answer, Hello, Purpose, Refusal
from server.joining.sharing import prepared
from server.joining.store import JoinedStore, JoinedStoreError
from server.joining.tunnel import SOCKETS, ForeignLabError, RefusedError, Tunnel, UnreachableError, connect, hello_of

T = TypeVar("T")


@dataclass
class Shared:
    """A gate that is open."""

    identity: Identity
    address: Address
    folder: Path
    heard: list[Exception] = field(default_factory=list)

    async def say(self, hello: Hello, pinned: bytes | None = None) -> Answer:
        (_, writer), answer = await connect(self.address, pinned or self.identity.fingerprint, hello)
        writer.transport.abort()
        return answer

    async def joined(self, node: str = "n2") -> str:
        """The token of a machine that joins by the line."""
        answer = await self.say(hello_of(node, Purpose.JOIN, self.identity.secret))
        assert answer.token is not None
        return answer.token

    async def refused(self, hello: Hello) -> RefusedError:
        with pytest.raises(RefusedError) as caught:
            await self.say(hello)
        return caught.value

    @asynccontextmanager
    async def tunnel(self, node: str, token: str) -> AsyncIterator[Path]:
        """The folder with the sockets of a machine that has joined."""
        # As a worker does: the kernel bounds the path of a socket.
        with tempfile.TemporaryDirectory(prefix="gpulab-") as short:
            ready = asyncio.Event()
            tunnel = Tunnel(Path(short), self.address, self.identity.fingerprint, node, token, self.heard.append)
            serving = asyncio.create_task(tunnel.serve(ready.set))
            opened = asyncio.create_task(ready.wait())
            await asyncio.wait((serving, opened), return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            try:
                yield Path(short)
            finally:
                await ended(serving)


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> GateSettings:
    return GateSettings(
        database_url=database_url, redis_url=redis_url, artifacts_url=(tmp_path / "a").as_uri(), lease_seconds=7
    )


@pytest.fixture
async def shared(settings: GateSettings, engine: Engine, tmp_path: Path) -> AsyncIterator[Shared]:
    with engine.begin() as connection:
        grant(connection)
    identity = prepared(tmp_path / "share", "127.0.0.1", 1)
    sockets = Path(str(conninfo_to_dict(settings.libpq_url)["host"])) / ".s.PGSQL.5432"
    (tmp_path / "a").mkdir()
    servers = Servers(sockets, Path(settings.redis_url.removeprefix("unix://")), LocalStore(tmp_path / "a"))
    gate = Gate(Admission(settings, engine, lambda: identity.secret), servers)
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(gate.serve(identity, "127.0.0.1", 0, port.set_result))
    yield Shared(identity, Address("127.0.0.1", await port), tmp_path)
    await ended(serving)


async def in_thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


def database_at(folder: Path, settings: GateSettings) -> str:
    """As whom a worker asks to be let in does not matter."""
    name = conninfo_to_dict(settings.libpq_url)["dbname"]
    return f"postgresql://gpulab@/{name}?host={folder}"


async def test_line_is_exchanged_for_a_token_of_the_node(shared: Shared) -> None:
    token = await shared.joined("gpu-2")
    answer = await shared.say(hello_of("gpu-2", Purpose.CHECK, token))
    assert (answer.message, answer.settings["GPULAB_LEASE_SECONDS"]) == ("", "7.0")
    other = await shared.refused(hello_of("gpu-3", Purpose.CHECK, token))
    assert (other.refusal, "gpu-3" in str(other)) == (Refusal.TOKEN, True), "a token is its node's alone"


async def test_two_machines_of_one_name_are_told_apart(shared: Shared) -> None:
    both = await asyncio.gather(shared.joined("gpu"), shared.joined("gpu"), return_exceptions=True)
    (refused,) = [one for one in both if isinstance(one, RefusedError)]
    assert refused.refusal is Refusal.NAME
    assert "--name" in str(refused)
    assert "gpulab nodes token gpu --revoke" in str(refused)


async def test_machine_that_was_withdrawn_may_join_again_under_its_name(shared: Shared, execute: Any) -> None:
    first = await shared.joined("gpu")
    execute(node_tokens.revoke("gpu", actor="user:admin"))
    assert (await shared.refused(hello_of("gpu", Purpose.CHECK, first))).refusal is Refusal.TOKEN
    assert await shared.joined("gpu") != first


async def test_name_of_a_living_node_without_a_token_is_taken(shared: Shared, node: str) -> None:
    refused = await shared.refused(hello_of(node, Purpose.JOIN, shared.identity.secret))
    assert refused.refusal is Refusal.NAME


async def test_replaced_line_lets_nobody_in_and_those_inside_stay(shared: Shared) -> None:
    token, old = await shared.joined(), shared.identity.secret
    shared.identity.renew_secret()
    refused = await shared.refused(hello_of("n3", Purpose.JOIN, old))
    assert (refused.refusal, "gpulab share" in str(refused)) == (Refusal.SECRET, True)
    assert old not in str(refused)
    await shared.say(hello_of("n2", Purpose.CHECK, token))
    await shared.joined("n3")


@pytest.mark.parametrize(
    ("changes", "refusal", "words"),
    [
        ({"version": "7.3.0"}, Refusal.VERSION, f"the lab has gpulab {VERSION} and this machine has 7.3.0"),
        ({"node": "gpu\u200b2"}, Refusal.NAME, "--name"),
        ({"node": ""}, Refusal.NAME, "--name"),
        ({"proof": "wr\u00f6ng"}, Refusal.SECRET, "join line"),
    ],
)
async def test_what_does_not_fit_is_refused_in_words(
    shared: Shared, changes: dict[str, Any], refusal: Refusal, words: str
) -> None:
    hello = hello_of("n2", Purpose.JOIN, shared.identity.secret).model_copy(update=changes)
    refused = await shared.refused(hello)
    assert (refused.refusal, words in str(refused)) == (refusal, True), str(refused)


async def test_line_of_json_that_is_no_hello_gets_an_answer(shared: Shared) -> None:
    (refused,) = [await shared.refused(Answer(message="odd"))]  # type: ignore[arg-type] # on purpose
    assert refused.refusal is Refusal.MALFORMED


@pytest.mark.parametrize(("ahead_seconds", "words"), [(95.0, "95 s ahead of"), (-120.0, "120 s behind"), (3.0, "")])
async def test_wrong_clock_is_said(shared: Shared, ahead_seconds: float, words: str) -> None:
    hello = hello_of("n2", Purpose.JOIN, shared.identity.secret)
    answer = await shared.say(hello.model_copy(update={"clock": time.time() + ahead_seconds}))
    assert (words in answer.message, bool(answer.message)) == (True, bool(words))
    assert answer.token is not None, "the lab sets it aside until its clock is right"


async def test_other_certificate_gets_not_even_the_secret(shared: Shared, tmp_path: Path) -> None:
    with pytest.raises(ForeignLabError):
        await shared.say(hello_of("n2", Purpose.JOIN, shared.identity.secret), pinned=os.urandom(32))
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = b""
        with suppress(OSError):
            said = await reader.read(100)
        received.set_result(said)
        writer.close()

    false = prepared(tmp_path / "false", "127.0.0.1", 1)
    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=server_context(false))
    async with server:
        there = Shared(shared.identity, Address(*server.sockets[0].getsockname()), tmp_path)
        with pytest.raises(ForeignLabError):
            await there.joined()
        assert await asyncio.wait_for(received, 10) == b""


async def test_port_without_a_lab_is_named(shared: Shared, tmp_path: Path) -> None:
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as plain:
        address = Address(*plain.sockets[0].getsockname())
    refused = r"nothing answers at 127\.0\.0\.1:\d+ \(Connection refused\)"
    for there, words in ((address, refused), (Address("no.such.invalid", 1), r"no\.such\.invalid:1 \(")):
        with pytest.raises(UnreachableError, match=words):
            await Shared(shared.identity, there, tmp_path).joined()


async def test_database_that_is_away_is_no_refusal_for_good(shared: Shared, tmp_path: Path) -> None:
    nowhere = sync_engine(f"postgresql+psycopg://gpulab@/gpulab?host={tmp_path}")
    settings = GateSettings(database_url="postgresql://x", redis_url="unix:///x", artifacts_url="file:///x")
    answer, token_id = Admission(settings, nowhere, lambda: "s").judge(hello_of("n2", Purpose.CHECK, "t"))
    assert (answer.refusal, token_id) == (Refusal.AWAY, None)


async def test_strangers_who_say_nothing_or_nonsense_do_no_harm(shared: Shared) -> None:
    pinned = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pinned.check_hostname, pinned.verify_mode = False, ssl.CERT_NONE
    for nonsense in (b"", b"GET / HTTP/1.1\r\n\r\n", b"x" * 400_000 + b"\n", b"{}\n", b"\xff\xfe\n"):
        reader, writer = await asyncio.open_connection(shared.address.host, shared.address.port, ssl=pinned)
        writer.write(nonsense)
        with suppress(OSError):
            await writer.drain()
            if not nonsense:
                writer.transport.abort()
            await asyncio.wait_for(reader.read(1000), 10)
        writer.transport.abort()
    await shared.joined()


async def test_worker_reads_and_writes_with_its_own_role(shared: Shared, settings: GateSettings) -> None:
    token = await shared.joined()
    async with shared.tunnel("n2", token) as folder:

        def work() -> list[Any]:
            with psycopg.connect(database_at(folder, settings), autocommit=True) as connection:
                return [
                    connection.execute(f"SELECT {what}").fetchone() for what in ("current_user", "count(*) FROM jobs")
                ]

        assert await in_thread(work) == [(ROLE,), (0,)]


FORBIDDEN = (
    "SELECT * FROM tokens",
    "SELECT * FROM browser_sessions",
    "SELECT * FROM audit_events",
    "UPDATE users SET role = 'admin'",
    "INSERT INTO node_tokens DEFAULT VALUES",
    "COPY jobs TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
    "SET ROLE gpulab",
    "CREATE TABLE more (x int)",
    "DROP TABLE jobs",
)


async def test_worker_cannot_take_the_lab(shared: Shared, settings: GateSettings) -> None:
    token = await shared.joined()
    async with shared.tunnel("n2", token) as folder:

        def work() -> None:
            with psycopg.connect(database_at(folder, settings), autocommit=True) as connection:
                for statement in FORBIDDEN:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(statement)

        await in_thread(work)


async def test_long_statement_can_be_cancelled_through_the_tunnel(shared: Shared, settings: GateSettings) -> None:
    token = await shared.joined()
    async with shared.tunnel("n2", token) as folder:

        def work() -> None:
            with psycopg.connect(database_at(folder, settings)) as connection:
                threading.Timer(0.3, connection.cancel_safe).start()
                connection.execute("SELECT pg_sleep(30)")

        with pytest.raises(psycopg.errors.QueryCanceled):
            await in_thread(work)


async def test_redis_is_reached_and_its_dangerous_commands_are_not(shared: Shared) -> None:
    token = await shared.joined()
    async with shared.tunnel("n2", token) as folder:

        def work() -> list[Any]:
            with redis.Redis.from_url(f"unix://{folder / SOCKETS[Purpose.REDIS]}") as client:
                client.lpush("gate-test", b"x" * 3_000_000)
                found = client.rpop("gate-test")
                with pytest.raises(redis.ResponseError, match="unknown command"):
                    client.config_get("dir")
                return [len(found or b"")]

        assert await in_thread(work) == [3_000_000]


async def test_connections_end_with_the_tunnel(shared: Shared) -> None:
    token = await shared.joined()
    async with shared.tunnel("n2", token) as folder:
        reader, writer = await asyncio.open_unix_connection(folder / SOCKETS[Purpose.REDIS])
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"+PONG\r\n"
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


async def test_files_of_every_size_reach_the_store_and_come_back(shared: Shared) -> None:
    token = await shared.joined()
    contents = {"empty": b"", "small": b"abc", "large": os.urandom(19 * 2**20 + 5)}
    async with shared.tunnel("n2", token) as folder:
        store = JoinedStore(folder / SOCKETS[Purpose.STORE])

        def work() -> None:
            for name, content in contents.items():
                store.put(f"j/{name}", content)
                pieces = (content[at : at + 4 * 2**20] for at in range(0, len(content), 4 * 2**20))
                store.put(f"j/{name}-pieces", pieces)
                for key in (f"j/{name}", f"j/{name}-pieces"):
                    found = store.get(key)
                    assert (found.meta["size"], found.bytes()) == (len(content), content)
                    assert b"".join(store.get(key).stream()) == content
            store.delete("j/small")
            for use in (store.get, store.delete):
                with pytest.raises(FileNotFoundError):
                    use("j/small")

        await in_thread(work)
    assert (shared.folder / "a" / "j" / "large").read_bytes() == contents["large"]


async def test_file_that_breaks_off_is_not_kept(shared: Shared) -> None:
    token = await shared.joined()

    def broken() -> Any:
        yield b"x" * 2**20
        raise OSError("the file was replaced")

    async with shared.tunnel("n2", token) as folder:
        store = JoinedStore(folder / SOCKETS[Purpose.STORE])
        with pytest.raises(OSError, match="was replaced"):
            await in_thread(lambda: store.put("j/half", broken()))
        await in_thread(lambda: store.put("j/whole", b"y"))
        with pytest.raises(FileNotFoundError):
            await in_thread(lambda: store.get("j/half"))
    assert sorted(path.name for path in (shared.folder / "a" / "j").iterdir()) == ["whole"]


async def test_store_says_why_it_refuses(shared: Shared) -> None:
    token = await shared.joined()
    async with shared.tunnel("n2", token) as folder:
        store = JoinedStore(folder / SOCKETS[Purpose.STORE])
        (shared.folder / "a" / "blocked").write_text("a file where a folder is wanted")
        with pytest.raises(JoinedStoreError, match=r"."):
            await in_thread(lambda: store.put("blocked/x", b"1"))
        with pytest.raises((JoinedStoreError, FileNotFoundError)):
            await in_thread(lambda: store.get("../share/secret"))


async def test_withdrawn_machine_is_cut_off_at_once(
    shared: Shared, settings: GateSettings, execute: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.server.REVOKED_LOOK_SECONDS", 0.05)
    token, other = await shared.joined("n2"), await shared.joined("n3")
    async with shared.tunnel("n3", other) as theirs:
        kept = await in_thread(lambda: psycopg.connect(database_at(theirs, settings), autocommit=True))
        async with shared.tunnel("n2", token) as folder:
            held = await in_thread(lambda: psycopg.connect(database_at(folder, settings), autocommit=True))
            await in_thread(lambda: execute(node_tokens.revoke("n2", actor="user:admin")))
            with pytest.raises(psycopg.OperationalError):
                await in_thread(lambda: held.execute("SELECT pg_sleep(20)"))
            with pytest.raises(psycopg.OperationalError):
                await in_thread(lambda: psycopg.connect(database_at(folder, settings)))
            refused = shared.heard[-1]
            assert isinstance(refused, RefusedError)
            assert (refused.refusal, "withdrawn the access of n2" in str(refused)) == (Refusal.TOKEN, True)
        await in_thread(lambda: kept.execute("SELECT 1"))
        for connection in (held, kept):
            await in_thread(connection.close)


async def test_store_of_a_lab_that_is_gone_cannot_be_reached(shared: Shared, tmp_path: Path) -> None:
    with pytest.raises(JoinedStoreError, match="cannot be reached"):
        JoinedStore(tmp_path / "none.sock").get("x")
    away = Shared(shared.identity, Address("127.0.0.1", 1), tmp_path, shared.heard)
    async with away.tunnel("n2", "t") as folder:
        with pytest.raises(JoinedStoreError, match=r"cut|reset|Broken pipe"):
            await in_thread(lambda: JoinedStore(folder / SOCKETS[Purpose.STORE]).put("x", b"1" * 9_000_000))
    assert isinstance(shared.heard[-1], UnreachableError)
