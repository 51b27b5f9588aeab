import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import kombu
import psycopg
import pytest
import redis

import server.embedded
from server.child_process import FolderInUseError
from server.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedRedis, account, broker_url

ROOT = Path(__file__).parents[3]
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    server.start()
    yield server
    server.stop()


def write_row(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('Ä')")


def read_rows(server: EmbeddedPostgres) -> list[tuple[str, ...]]:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT lower(word) FROM kept").fetchall()


def wait_until_gone(pid: int, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_rows_survive_stop_and_start_on_the_same_address(postgres: EmbeddedPostgres) -> None:
    url = postgres.url
    write_row(postgres)
    postgres.stop()
    postgres.start()
    assert postgres.url == url
    assert read_rows(postgres) == [("ä",)]


def test_committed_rows_survive_sigkill(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        write_row(server)
        server.kill()
        server.start()
        assert read_rows(server) == [("ä",)]


def test_server_is_postgresql_18_without_a_port(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        assert connection.info.server_version >= 180000
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_full_shared_memory_of_the_machine_is_no_trouble_of_the_database(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SHOW dynamic_shared_memory_type").fetchone() == ("mmap",)
    made = (postgres.data / "postgresql.conf").read_text(encoding="utf-8")
    assert "dynamic_shared_memory_type = mmap" in made, "its maker needs no room there either"


def test_socket_folder_admits_only_its_owner(postgres: EmbeddedPostgres) -> None:
    assert postgres.socket_folder.stat().st_mode & 0o077 == 0


def test_nothing_outlives_a_killed_parent_and_the_folder_starts_again(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    program = (
        "import sys, time; from pathlib import Path; from server.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1])); server.start()\n"
        "print(server.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, folder], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert wait_until_gone(pid)
    with EmbeddedPostgres(folder) as server:
        write_row(server)


def test_live_orphan_on_the_folder_is_ended_first(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    server.start()
    write_row(server)
    orphan = server.process
    assert orphan is not None
    server.process = None  # the parent forgets it, as a killed parent without a death signal would
    server.stop()
    assert orphan.poll() is None
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as again:
        assert read_rows(again) == [("ä",)]
        assert orphan.wait(10) == 0


def test_stale_pid_file_naming_an_unrelated_live_process_does_not_block(postgres: EmbeddedPostgres) -> None:
    postgres.kill()
    account = {"user": "nobody", "group": 65534, "extra_groups": []} if IS_ROOT else {}
    stranger = subprocess.Popen(["sleep", "60"], **account)  # type: ignore[call-overload]  # a user only as root
    try:
        pid_file = postgres.data / "postmaster.pid"
        lines = pid_file.read_text().splitlines(keepends=True)
        pid_file.write_text(f"{stranger.pid}\n" + "".join(lines[1:]))
        postgres.start()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("left", [b"", b"\0" * 90, b"\xff\n"])
def test_pid_file_and_socket_lock_that_a_power_cut_spoiled_do_not_block(
    postgres: EmbeddedPostgres, left: bytes
) -> None:
    postgres.kill()
    (postgres.data / "postmaster.pid").write_bytes(left)
    (postgres.socket_folder / ".s.PGSQL.5432.lock").write_bytes(left)
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_live_orphan_whose_pid_file_is_spoiled_is_ended_first(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path, durable=False)
    server.start()
    orphan = server.process
    assert orphan is not None
    server._lock.release()
    (server.data / "postmaster.pid").write_bytes(b"")
    with EmbeddedPostgres(tmp_path, durable=False) as again:
        assert orphan.wait(10) is not None
        assert again.process is not None


def test_initialisation_cut_short_is_done_again(tmp_path: Path) -> None:
    torn = tmp_path / "postgres" / "data.new"
    torn.mkdir(parents=True)
    (torn / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as server:
        write_row(server)


def test_second_program_on_the_folder_is_refused_with_the_pid(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(FolderInUseError, match=f"pid {os.getpid()}"):
        EmbeddedPostgres(postgres.folder).start()
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_folder_with_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("long" * 25), durable=False)
    with server:
        write_row(server)
        assert not server.socket_folder.is_relative_to(tmp_path)
    assert not server.socket_folder.exists()


def test_broken_setting_is_reported_with_the_servers_own_words(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False, settings={"no_such_setting": "1"})
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        server.start()
    assert server.process is None


def test_missing_wheel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EmbeddedError, match=r"pip install 'gpulab\[embedded\]', or set DATABASE_URL"):
        server.embedded.postgres_binaries()
    with pytest.raises(EmbeddedError, match="set REDIS_URL"):
        server.embedded.redis_binary()


@pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
def test_root_runs_postgres_as_an_unprivileged_account_under_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "postgres", durable=False) as server:
        write_row(server)
        assert server.process is not None
        assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0
    assert closed.stat().st_mode & 0o777 == 0o701


def psql_as(account: int, server: EmbeddedPostgres) -> subprocess.CompletedProcess[str]:
    """Ask the server something from a process of another account."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[3]); import psycopg\n"
        "os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))\n"
        "psycopg.connect(sys.argv[2], connect_timeout=5)"
    )
    site_packages = str(Path(psycopg.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", program, str(account), server.url, site_packages],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
def test_only_the_labs_own_account_reaches_the_database(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as server:
        assert server.process is not None
        owner = Path(f"/proc/{server.process.pid}").stat().st_uid
        assert psql_as(0, server).returncode == 0
        nobody = psql_as(65534, server)
        assert nobody.returncode == 1
        assert "Permission denied" in nobody.stderr
        # The server refuses an account that came into the folder all the same.
        itself = psql_as(owner, server)
        assert itself.returncode == 1
        assert "peer" in itself.stderr.lower()
    assert owner not in {0, 65534}


@pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
def test_lab_of_an_earlier_release_is_closed_at_the_next_start(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as server:
        write_row(server)
    for path in (server.data, *server.data.rglob("*")):
        os.chown(path, 65534, 65534)
    (server.data / "pg_hba.conf").write_text("local all all trust\n")
    with server:
        assert server.data.stat().st_uid not in {0, 65534}
        assert psql_as(65534, server).returncode == 1
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT word FROM kept").fetchone() == ("Ä",)
        rules = "SELECT auth_method FROM pg_hba_file_rules"
        with psycopg.connect(server.url) as connection:
            # The lab's own role, and that of workers on other machines.
            assert connection.execute(rules).fetchall() == [("peer",), ("peer",)]


def test_machine_without_numbers_to_spare_falls_back_to_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("server.embedded.account._is_mapped", lambda *_: False)
    found = account.account_for(tmp_path / "data")
    assert found == account.nobody()


@pytest.mark.skipif(not IS_ROOT, reason="the other tests already run unprivileged")
def test_unprivileged_account_can_run_everything(tmp_path: Path) -> None:
    program = (
        "import sys, os; from pathlib import Path; from server.embedded import EmbeddedPostgres, EmbeddedRedis\n"
        "assert os.geteuid() != 0\n"
        "with EmbeddedPostgres(Path(sys.argv[1]) / 'pg'), EmbeddedRedis(Path(sys.argv[1]) / 'redis'): print('up')"
    )
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    for path in folder.parents:
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o001)
    site_packages = Path(psycopg.__file__).parents[1]
    done = None
    for python in (sys.executable, "/usr/bin/python3.11"):
        try:
            done = subprocess.run(
                [python, "-c", program, folder],
                env={"PYTHONPATH": f"{ROOT}:{site_packages}", "PATH": os.environ["PATH"]},
                cwd="/", user="nobody", group=65534, extra_groups=[], capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            break
        except PermissionError:
            continue
    if done is None:
        pytest.skip("no Python 3.11 that an unprivileged account may run")
    assert done.stdout == "up\n", done.stderr


def test_redis_answers_on_both_forms_of_its_address(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "with space") as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
        with kombu.Connection(server.broker_url) as connection, connection.SimpleQueue("bell") as queue:
            queue.put({"job": 1})
            assert queue.get(timeout=5).payload == {"job": 1}


def test_redis_restarts_after_sigkill_on_the_same_address(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        url = server.url
        server.kill()
        server.start()
        assert server.url == url
        with redis.Redis.from_url(url) as client:
            assert client.ping()


def test_redis_that_hangs_on_stop_is_killed(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    server.start()
    assert server.process is not None
    process = server.process
    process.send_signal(signal.SIGSTOP)
    server.stop(grace_seconds=0.1)
    assert process.returncode == -signal.SIGKILL


def test_broker_url_leaves_tcp_addresses_alone() -> None:
    assert broker_url("redis://:secret@redis:6379/0") == "redis://:secret@redis:6379/0"
