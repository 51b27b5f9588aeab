"""The shipper against a real database: every record once, whatever happens between two turns."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from obstore.exceptions import GenericError
from obstore.store import LocalStore
from sqlalchemy import Engine, create_engine, event, select, text, update
from sqlalchemy.exc import OperationalError

from experiments.hosting.record_reader import RecordReader
from experiments.hosting.run_directory import RunDirectory
from experiments.hosting.wire import Succeeded
from gpulab.states import JobState
from models import Artifact, Checkpoint, JobEvent, LogChunk, MetricChunk, Phase, SampleChunk, User
from models.statements import leases, series
from tests.lab import wait_until
from worker.runs.folder import RunFolder
from worker.runs.resume import bring_back
from worker.runs.supervisor import AWAY
from worker.shipping.shipper import LeaseGoneError, Shipper

Execute = Callable[..., list[Any]]


class Store(LocalStore):
    """Does something else before it takes its next file."""

    meanwhile: Callable[[], object] | None = None
    too_large: tuple[str, ...] = ()
    """Ends of the names that it has no room for."""

    def put(self, path: str, file: Any, **options: Any) -> Any:
        if path.endswith(self.too_large):
            raise GenericError("error: no space left on device")
        now, self.meanwhile = self.meanwhile, None
        if now is not None:
            now()
        return super().put(path, file, **options)


class Setting:
    """One claimed lease, its run directory, and shippers for it."""

    def __init__(self, engine: Engine, execute: Execute, lease: tuple[UUID, UUID], folder: Path) -> None:
        self.engine = engine
        self.execute = execute
        self.job_id, self.token = lease
        self.folder = folder / "run"
        self.run = RunDirectory(self.folder)
        self.store = Store(folder / "store", mkdir=True)

    def shipper(self, *, log_limit_bytes: int = 1000, max_artifact_bytes: int | None = None) -> Shipper:
        return Shipper(
            self.engine,
            self.store,
            RunFolder(self.folder),
            self.token,
            self.job_id,
            1,
            actor="node:n1",
            log_limit_bytes=log_limit_bytes,
            max_artifact_bytes=max_artifact_bytes,
        )

    def stored(self) -> list[str]:
        """Names of this job's files in the store, without what stands before them in the key."""
        found = self.store.list(f"jobs/{self.job_id}").collect()
        return sorted(meta["path"].rpartition("/")[2].partition("-")[2] for meta in found)

    def write(self, name: str, size_bytes: int) -> None:
        with self.run.artifact(name) as path:
            path.write_bytes(b"x" * size_bytes)

    def kept(self) -> dict[str, int]:
        rows = self.execute(select(Artifact.name, Artifact.size_bytes).where(Artifact.job_id == self.job_id))
        return {row["name"]: row["size_bytes"] for row in rows}

    def told(self) -> list[str]:
        """What was said of refused files."""
        wanted = (JobEvent.job_id == self.job_id, JobEvent.type == "job.file_refused")
        return [row["message"] for row in self.execute(select(JobEvent.message).where(*wanted).order_by(JobEvent.id))]

    def steps(self, name: str = "loss") -> list[int]:
        rows = self.execute(series.metric_chunks(self.job_id, [name]))
        return [step for row in rows for step in row["steps"]]

    def output(self) -> bytes:
        rows = self.execute(select(LogChunk.data).where(LogChunk.job_id == self.job_id).order_by(LogChunk.start))
        return b"".join(row["data"] for row in rows)


@pytest.fixture
def setting(engine: Engine, execute: Execute, make_lease: Callable[..., tuple[UUID, UUID]], tmp_path: Path) -> Setting:
    return Setting(engine, execute, make_lease(), tmp_path)


def test_database_whose_connections_are_all_taken_counts_as_away_and_nothing_is_lost(
    setting: Setting, database_url: str
) -> None:
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    setting.engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    setting.run.metrics(1, {"loss": 0.5})
    shipper = setting.shipper()
    with setting.engine.connect(), pytest.raises(AWAY):
        shipper.turn()
    assert shipper.turn()
    assert setting.steps() == [1]
    setting.engine.dispose()


def test_ships_every_kind_of_record_and_then_nothing(setting: Setting) -> None:
    run = setting.run
    run.phase("model")
    run.metrics(1, {"loss": 0.5, "accuracy": float("nan")})
    run.metrics(2, {"loss": 0.25})
    run.memory(allocated_bytes=10, reserved_bytes=20)
    run.record("prediction", allocated_bytes=12, device_likely_bytes=30)
    run.progress(0.5, "half")
    run.table("rows", ["a"], [[1]])
    with run.checkpoint(2) as path:
        path.write_bytes(b"state")
    sample = {"time": 1.0, "source": "host", "values": {"rss_bytes": 7, "cpu_percent": None}, "reasons": {"x": "why"}}
    (setting.folder / "samples.ndjson").write_text(json.dumps(sample) + "\n")
    (setting.folder / "output.log").write_bytes(b"hello\xff")
    shipper = setting.shipper()
    assert shipper.turn()
    assert not shipper.turn()
    assert setting.steps() == [1, 2]
    assert [r["source"] for r in setting.execute(select(SampleChunk.source).order_by(SampleChunk.source))] == [
        "allocator",
        "host",
        "prediction",
    ]
    assert setting.execute(select(Phase.name))[0]["name"] == "model"
    artifact = setting.execute(select(Artifact.name, Artifact.key))[0]
    assert artifact["name"] == "rows.csv"
    assert bytes(setting.store.get(artifact["key"]).bytes()) == b"a\r\n1\r\n"
    checkpoint = setting.execute(select(Checkpoint.step, Checkpoint.key))[0]
    assert bytes(setting.store.get(checkpoint["key"]).bytes()) == b"state"
    assert setting.output() == b"hello\xff"


def test_half_a_line_waits_for_its_other_half(setting: Setting) -> None:
    setting.run.metrics(1, {"loss": 1.0})
    records = setting.folder / "records.ndjson"
    whole = records.read_bytes()
    records.write_bytes(whole + whole[:20])
    shipper = setting.shipper()
    shipper.turn()
    assert setting.steps() == [1]
    records.write_bytes(whole + whole.replace(b'"step":1', b'"step":2'))
    shipper.turn()
    assert setting.steps() == [1, 2]


def test_another_shipper_goes_on_where_the_first_stopped(setting: Setting) -> None:
    setting.run.metrics(1, {"loss": 1.0})
    setting.shipper().turn()
    setting.run.metrics(2, {"loss": 1.0})
    assert setting.shipper().turn()
    assert setting.steps() == [1, 2]


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_lost_connection_neither_skips_nor_doubles(setting: Setting, moment: str) -> None:
    """The commit fails, or it succeeds and its answer is lost: the shipper cannot tell, and need not."""
    shipper = setting.shipper()
    setting.run.metrics(1, {"loss": 1.0})
    shipper.turn()
    setting.run.metrics(2, {"loss": 1.0})
    lost = OperationalError("commit", {}, Exception("connection lost"))

    def break_commit(connection: Any) -> None:
        event.remove(setting.engine, "commit", break_commit)
        if moment == "after_commit":
            connection.connection.dbapi_connection.commit()
        raise lost

    event.listen(setting.engine, "commit", break_commit)
    with pytest.raises(OperationalError):
        shipper.turn()
    while shipper.turn():
        pass
    assert setting.steps() == [1, 2]


def test_shipper_of_a_lost_lease_changes_nothing(setting: Setting) -> None:
    shipper = setting.shipper()
    setting.run.metrics(1, {"loss": 1.0})
    shipper.turn()
    setting.execute(leases.lose(setting.token, max_lost_attempts=3, actor="t", message="gone"))
    setting.run.metrics(2, {"loss": 1.0})
    with pytest.raises(LeaseGoneError):
        shipper.turn()
    assert setting.steps() == [1]


def test_line_that_is_no_record_does_not_stop_the_next(setting: Setting) -> None:
    with (setting.folder / "records.ndjson").open("a") as file:
        file.write("not json\n[1]\n")
    setting.run.metrics(1, {"loss": 1.0})
    setting.shipper().turn()
    assert setting.steps() == [1]


def test_output_is_kept_up_to_its_limit(setting: Setting) -> None:
    (setting.folder / "output.log").write_bytes(b"x" * 30)
    shipper = setting.shipper(log_limit_bytes=10)
    shipper.turn()
    assert setting.output() == b"x" * 10
    assert not shipper.turn()


def test_file_replaced_before_it_was_shipped_is_named_once(setting: Setting) -> None:
    for content in ("old", "newer"):
        with setting.run.artifact("a.txt") as path:
            path.write_text(content)
    setting.shipper().turn()
    rows = setting.execute(select(Artifact.key, Artifact.size_bytes))
    assert [row["size_bytes"] for row in rows] == [5]
    assert bytes(setting.store.get(rows[0]["key"]).bytes()) == b"newer"


def test_file_past_its_owners_quota_is_refused_with_notice_and_nothing_else_is_lost(
    setting: Setting, make_lease: Callable[..., tuple[UUID, UUID]], tmp_path: Path
) -> None:
    before = Setting(setting.engine, setting.execute, make_lease(), tmp_path / "before")
    before.write("old.bin", 60)
    before.shipper().turn()
    shipper = setting.shipper(max_artifact_bytes=100)
    for name, size in (("fits.bin", 30), ("large.bin", 20), ("small.bin", 10)):
        setting.write(name, size)
    setting.run.metrics(1, {"loss": 0.5})
    assert shipper.turn()
    assert setting.kept() == {"fits.bin": 30, "small.bin": 10}
    assert setting.told() == ["large.bin: not kept, because its owner's storage quota is 100 bytes"]
    setting.write("large.bin", 21)
    setting.write("fits.bin", 29)
    setting.run.metrics(2, {"loss": 0.5})
    assert shipper.turn()
    assert setting.kept() == {"fits.bin": 29, "small.bin": 10}, "the one before makes room for the one after"
    assert len(setting.told()) == 1, "said once"
    assert setting.steps() == [1, 2]
    assert setting.execute(leases.finish(setting.token, JobState.SUCCEEDED, actor="node:n1", result={}))


@pytest.fixture
def other(setting: Setting, make_lease: Callable[..., tuple[UUID, UUID]], tmp_path: Path) -> Setting:
    """Another running job of the same user."""
    return Setting(setting.engine, setting.execute, make_lease(), tmp_path / "other")


def test_room_that_another_job_took_during_an_upload_is_gone_and_the_upload_leaves_the_store(
    setting: Setting, other: Setting
) -> None:
    shipper = setting.shipper(max_artifact_bytes=100)
    for name, size in (("late.bin", 60), ("small.bin", 40)):
        setting.write(name, size)
    setting.run.metrics(1, {"loss": 0.5})
    other.write("other.bin", 60)
    setting.store.meanwhile = other.shipper(max_artifact_bytes=100).turn
    assert shipper.turn()
    assert (setting.kept(), other.kept()) == ({"small.bin": 40}, {"other.bin": 60})
    assert setting.told() == ["late.bin: not kept, because its owner's storage quota is 100 bytes"]
    assert setting.steps() == [1]
    assert not shipper.turn()
    assert setting.stored() == ["small.bin"]


def test_of_two_jobs_that_name_files_at_once_one_waits_and_sees_what_the_other_took(
    setting: Setting, other: Setting
) -> None:
    for each in (setting, other):
        each.write("file.bin", 60)
    late = Thread(target=other.shipper(max_artifact_bytes=100).turn)

    def blocked_or_done() -> bool:
        return not late.is_alive() or bool(setting.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")))

    def meet(_: Any) -> None:
        late.start()
        wait_until(blocked_or_done)

    shipper = setting.shipper(max_artifact_bytes=100)
    setting.store.meanwhile = lambda: event.listen(setting.engine, "commit", meet, once=True)
    assert shipper.turn()
    late.join()
    assert (setting.kept(), other.kept()) == ({"file.bin": 60}, {})
    assert len(other.told()) == 1


def test_what_a_newer_file_or_checkpoint_replaced_leaves_the_store(setting: Setting) -> None:
    shipper = setting.shipper()
    for step in (1, 2, 2):
        setting.write("a.bin", 10 * step)
        with setting.run.checkpoint(step) as path:
            path.write_bytes(b"state")
        assert shipper.turn()
    assert not shipper.turn()
    assert setting.stored() == ["a.bin", "step-2.ckpt"]
    assert len(setting.execute(series.keys(setting.job_id))) == 2


def test_upload_of_an_attempt_that_lost_its_lease_is_taken_back_without_what_it_named_before(setting: Setting) -> None:
    shipper = setting.shipper()
    setting.write("named.bin", 10)
    shipper.turn()
    lost = leases.lose(setting.token, max_lost_attempts=3, actor="t", message="gone")
    setting.store.meanwhile = lambda: setting.execute(lost)
    for name in ("named.bin", "new.bin"):
        setting.write(name, 10)
    with pytest.raises(LeaseGoneError):
        shipper.turn()
    shipper.sweep_uploads()
    assert setting.stored() == ["named.bin"]


def test_file_that_is_stored_on_a_retry_is_kept_while_another_still_waits(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.shipping.shipper.STORE_RETRY_SECONDS", 0.0)
    shipper = setting.shipper()
    for name in ("first.bin", "second.bin"):
        setting.write(name, 10)
    with setting.run.checkpoint(1) as path:
        path.write_bytes(b"state")
    setting.store.too_large = ("first.bin", "second.bin", ".ckpt")
    assert shipper.turn()
    setting.store.too_large = ("second.bin", ".ckpt")
    assert shipper.turn()
    assert (setting.kept(), shipper.waiting) == ({"first.bin": 10}, ["second.bin", "step-1.ckpt"])
    assert not shipper.turn(), "nothing new"
    assert setting.stored() == ["first.bin"]
    setting.store.too_large = ()
    assert shipper.turn()
    assert not shipper.turn()
    assert setting.stored() == ["first.bin", "second.bin", "step-1.ckpt"]


def test_admin_has_no_quota(setting: Setting) -> None:
    setting.execute(update(User).values(role="admin"))
    setting.write("large.bin", 101)
    setting.shipper(max_artifact_bytes=100).turn()
    assert (setting.kept(), setting.told()) == ({"large.bin": 101}, [])


def test_points_after_the_checkpoint_are_taken_back(setting: Setting) -> None:
    for step, time in ((1, 10.0), (2, 20.0), (3, 30.0)):
        record = {"time": time, "type": "metric", "step": step, "values": {"loss": 1.0}}
        with (setting.folder / "records.ndjson").open("a") as file:
            file.write(json.dumps(record) + "\n")
    setting.shipper().turn()
    setting.execute(series.shorten_metrics(setting.job_id, 20.0))
    setting.execute(series.drop_empty_metrics(setting.job_id))
    assert setting.steps() == [1, 2]
    row = setting.execute(select(MetricChunk.steps, MetricChunk.times, MetricChunk.values))[0]
    assert (row["times"], row["values"]) == ([10.0, 20.0], [1.0, 1.0])
    setting.execute(series.shorten_metrics(setting.job_id, 0.0))
    setting.execute(series.drop_empty_metrics(setting.job_id))
    assert setting.execute(select(MetricChunk.id)) == []


@pytest.mark.parametrize("stored", [True, False])
def test_next_attempt_goes_on_from_the_checkpoint_and_from_the_start_where_its_bytes_are_missing(
    setting: Setting, make_lease: Callable[..., tuple[UUID, UUID]], tmp_path: Path, stored: bool
) -> None:
    setting.run.metrics(1, {"loss": 1.0})
    with setting.run.checkpoint(1) as path:
        path.write_bytes(b"state")
    setting.run.metrics(2, {"loss": 1.0})
    setting.shipper().turn()
    if not stored:
        setting.store.delete(setting.execute(select(Checkpoint.key))[0]["key"])
    setting.execute(leases.lose(setting.token, max_lost_attempts=3, actor="t", message="gone"))
    _, token = make_lease(job_id=setting.job_id)
    following = RunDirectory(tmp_path / "following")
    bring_back(setting.engine, setting.store, following.folder, token, setting.job_id)
    found = following.latest_checkpoint()
    assert (setting.steps(), found and found[1].read_bytes()) == (([1], b"state") if stored else ([], None))


def test_torn_line_is_no_ending(setting: Setting) -> None:
    reader = RecordReader(setting.folder)
    assert reader.ending() is None
    setting.run.record("result", value={"x": 1})
    with (setting.folder / "records.ndjson").open("a") as file:
        file.write('{"type": "err')
    assert isinstance(reader.ending(), Succeeded)
