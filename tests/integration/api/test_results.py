"""Metrics, samples, logs and artifacts over HTTP."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest

from gpulab.schemas import ArtifactPage, LogRead, MetricsRead, SamplesRead
from models.settings import ApiSettings
from models.store import open_store
from models.tables.estimate import Estimate
from tests.integration.api.seeds import SeededUser, Seeds

DATA = bytes(range(256)) * 40


@pytest.fixture
def job_id(seeds: Seeds, admin: SeededUser) -> UUID:
    seeds.node()
    made = seeds.job(admin)
    seeds.run(made)
    return made


async def metrics(client: httpx.AsyncClient, job_id: UUID, **query: object) -> MetricsRead:
    answer = await client.get(f"/v1/jobs/{job_id}/metrics", params=query)
    assert answer.status_code == 200, answer.text
    return MetricsRead.model_validate_json(answer.content, strict=True)


async def test_series_join_their_chunks(client: httpx.AsyncClient, seeds: Seeds, job_id: UUID) -> None:
    seeds.metric(job_id, "loss", [1, 2], [0.5, 0.25])
    seeds.metric(job_id, "accuracy", [2], [0.9])
    seeds.metric(job_id, "loss", [3], [0.125])
    found = await metrics(client, job_id)

    assert found.names == ["accuracy", "loss"]
    loss = found.series[1]
    assert (loss.name, loss.steps, loss.values) == ("loss", [1, 2, 3], [0.5, 0.25, 0.125])
    assert (loss.times, loss.total_points) == ([1001.0, 1002.0, 1003.0], 3)


async def test_series_are_picked_by_name_and_step(client: httpx.AsyncClient, seeds: Seeds, job_id: UUID) -> None:
    for name in ("a", "b", "c"):
        seeds.metric(job_id, name, [1, 2, 3], [1.0, 2.0, 3.0])
    found = await metrics(client, job_id, names=["a,c", "nobody"], after_step=1)

    assert found.names == ["a", "b", "c"]
    assert [(series.name, series.steps) for series in found.series] == [("a", [2, 3]), ("c", [2, 3])]


async def test_only_what_was_recorded_since_is_sent(client: httpx.AsyncClient, seeds: Seeds, job_id: UUID) -> None:
    seeds.metric(job_id, "loss", [1, 2], [0.5, float("nan")])
    seeds.metric(job_id, "once", [0], [7.0])
    first = await metrics(client, job_id)
    assert first.whole
    nothing = await metrics(client, job_id, after=first.cursor)
    assert (nothing.series, nothing.whole, nothing.cursor) == ([], False, first.cursor)
    # A metric may begin late and count from the beginning.
    seeds.metric(job_id, "late", [0, 1], [1.0, 2.0])
    seeds.metric(job_id, "loss", [3], [float("inf")])
    newer = await metrics(client, job_id, after=first.cursor)
    assert [(one.name, one.steps, one.nonfinite) for one in newer.series] == [
        ("late", [0, 1], {}),
        ("loss", [3], {0: "inf"}),
    ]
    assert newer.names == ["late", "loss", "once"]
    assert (await metrics(client, job_id, after=newer.cursor)).series == []


@pytest.mark.parametrize("since", [1001.5, 0.0])
async def test_all_is_sent_again_where_an_attempt_took_points_back(
    client: httpx.AsyncClient, seeds: Seeds, job_id: UUID, since: float
) -> None:
    seeds.metric(job_id, "loss", [1, 2, 3], [0.5, 0.4, 0.3])
    first = await metrics(client, job_id)
    seeds.shorten_metrics(job_id, since)
    shorter = await metrics(client, job_id, after=first.cursor)
    assert shorter.whole
    assert sum(len(one.steps) for one in shorter.series) == (1 if since else 0)
    seeds.metric(job_id, "loss", [2, 3], [0.45, 0.35])
    again = await metrics(client, job_id, after=first.cursor)
    assert again.whole, "as many points as before, and not the same ones"
    newer = await metrics(client, job_id, after=shorter.cursor)
    assert [one.values for one in newer.series] == [[0.45, 0.35]]


@pytest.mark.parametrize("after", ["", "x", "1", "1-", "-1", "1-2-3", "9" * 30 + "-1"])
async def test_a_cursor_that_the_lab_did_not_give_is_refused(
    client: httpx.AsyncClient, job_id: UUID, after: str
) -> None:
    answer = await client.get(f"/v1/jobs/{job_id}/metrics", params={"after": after})
    assert answer.status_code == 422
    assert "after" in answer.json()["errors"][0]["path"]


async def test_values_that_are_not_finite_are_null_and_named(
    client: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    seeds.metric(job_id, "loss", [1, 2, 3, 4], [1.0, float("nan"), float("inf"), float("-inf")])
    (series,) = (await metrics(client, job_id)).series

    assert series.values == [1.0, None, None, None]
    assert series.nonfinite == {1: "nan", 2: "inf", 3: "-inf"}


async def test_downsampling_keeps_a_spike(client: httpx.AsyncClient, seeds: Seeds, job_id: UUID) -> None:
    values = [1.0] * 10_000
    values[7_123] = 50.0
    seeds.metric(job_id, "loss", list(range(10_000)), values)
    (series,) = (await metrics(client, job_id, max_points=100)).series

    assert len(series.steps) <= 100
    assert (series.steps[0], series.steps[-1], series.total_points) == (0, 9_999, 10_000)
    assert (7_123, 50.0) in zip(series.steps, series.values, strict=True)


async def test_samples_make_tracks_with_nulls_where_nothing_was_read(
    client: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    seeds.samples(job_id, "gpu", {"memory_used_bytes": [1, 2]}, gpu_uuid="GPU-1")
    reasons = {"power_draw_watts": "not supported"}
    seeds.samples(
        job_id,
        "gpu",
        {"memory_used_bytes": [3], "power_draw_watts": [None]},
        gpu_uuid="GPU-1",
        times=[1002.0],
        reasons=reasons,
    )
    seeds.samples(job_id, "host", {"memory_rss_bytes": [7]})
    seeds.phase(job_id, "forward", 1000.5)
    answer = await client.get(f"/v1/jobs/{job_id}/samples")
    found = SamplesRead.model_validate_json(answer.content, strict=True)

    gpu, host = found.tracks
    assert (gpu.source, gpu.gpu_uuid, gpu.times) == ("gpu", "GPU-1", [1000.0, 1001.0, 1002.0])
    assert gpu.values == {"memory_used_bytes": [1, 2, 3], "power_draw_watts": [None, None, None]}
    assert gpu.reasons == reasons
    assert host.values == {"memory_rss_bytes": [7]}
    assert [(phase.name, phase.time) for phase in found.phases] == [("forward", 1000.5)]


@pytest.mark.parametrize(("experiment", "reporter"), [("script", "program"), ("dropout-linear", "lab")])
async def test_what_a_program_says_of_itself_is_marked(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser, experiment: str, reporter: str
) -> None:
    job_id = seeds.job(admin, experiment=experiment)
    for source, field in (("host", "rss_bytes"), ("gpu", "process_used_bytes"), ("allocator", "allocated_bytes")):
        seeds.samples(job_id, source, {field: [7]})
    seeds.phase(job_id, "forward", 1000.5)
    found = SamplesRead.model_validate_json((await client.get(f"/v1/jobs/{job_id}/samples")).content, strict=True)
    said = {track.source: track.reported_by for track in found.tracks}
    assert said == {"host": "lab", "gpu": "lab", "allocator": reporter}
    assert [phase.reported_by for phase in found.phases] == [reporter]


async def test_samples_hold_the_prediction_and_the_use_of_a_shared_gpu(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    seeds.node()
    ours, neighbour = seeds.job(admin), seeds.job(admin)
    for job_id in (ours, neighbour):
        seeds.lease(job_id, gpu_uuids=("GPU-1",), reserved_bytes=1000)
    seeds.samples(ours, "gpu", {"energy_joules": [1.0, 4.0], "process_used_bytes": [2**30, 2**30]}, gpu_uuid="GPU-1")
    seeds.samples(ours, "prediction", {"allocated_bytes": [5], "device_likely_bytes": [9]})
    answer = await client.get(f"/v1/jobs/{ours}/samples")
    found = SamplesRead.model_validate_json(answer.content, strict=True)

    assert found.predicted_peak_bytes == 9
    assert [track.source for track in found.tracks] == ["gpu", "prediction"]
    (used,) = found.usage
    assert (used.gpu_uuid, used.energy_joules, used.gib_seconds, used.shared) == ("GPU-1", 3.0, 1.0, True)


async def test_samples_of_a_job_that_has_not_predicted_itself_show_what_the_lab_predicted(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    estimate_id = uuid4()
    prediction = {"peak_device_bytes": {"likely_bytes": 2**40}}
    empty: dict[str, Any] = {"workload": {}, "editable": [], "wanted": {}}
    seeds._insert(Estimate, id=estimate_id, family="x", software="x", prediction=prediction, state="ready", **empty)
    job_id = seeds.job(admin)
    seeds.describe(job_id, estimate_id=estimate_id)
    answer = await client.get(f"/v1/jobs/{job_id}/samples")
    assert SamplesRead.model_validate_json(answer.content, strict=True).predicted_peak_bytes == 2**40


async def test_thinned_samples_keep_the_peak_of_each_field(
    client: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    used, power = [0] * 1000, [1.0] * 1000
    used[301], power[702] = 9, 0.5
    seeds.samples(job_id, "gpu", {"memory_used_bytes": used, "power_draw_watts": power, "reason": ["x"] * 1000})
    answer = await client.get(f"/v1/jobs/{job_id}/samples?max_points=50")
    (track,) = SamplesRead.model_validate_json(answer.content).tracks

    assert len(track.times) <= 50
    assert (max(track.values["memory_used_bytes"]), min(track.values["power_draw_watts"])) == (9, 0.5)
    assert {len(readings) for readings in track.values.values()} == {len(track.times)}


async def log_piece(client: httpx.AsyncClient, job_id: UUID, **query: object) -> LogRead:
    answer = await client.get(f"/v1/jobs/{job_id}/logs", params=query)
    assert answer.status_code == 200, answer.text
    return LogRead.model_validate_json(answer.content)


async def test_log_is_read_piece_by_piece_to_its_end(client: httpx.AsyncClient, seeds: Seeds, job_id: UUID) -> None:
    whole = "grüße, 世界 🙂\n" * 20
    data = whole.encode()
    # Pieces end wherever the shipper looked, also inside a character.
    for start in range(0, len(data), 13):
        seeds.log(job_id, start, data[start : start + 13])
    seeds.finish(job_id)
    text, offset = "", 0
    for _ in range(200):
        piece = await log_piece(client, job_id, offset=offset, limit=10)
        text, offset = text + piece.text, piece.next_offset
        if piece.complete:
            break

    assert (text, offset) == (whole, len(data))


async def test_log_of_a_running_job_waits_for_the_rest_of_a_character(
    client: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    seeds.log(job_id, 0, "aé".encode()[:2])
    first = await log_piece(client, job_id)
    seeds.log(job_id, 2, "é".encode()[1:])
    second = await log_piece(client, job_id, offset=first.next_offset)

    assert (first.text, first.next_offset, first.complete) == ("a", 1, False)
    assert (second.text, second.complete) == ("é", False)


async def test_negative_offset_reads_the_tail(client: httpx.AsyncClient, seeds: Seeds, job_id: UUID) -> None:
    seeds.log(job_id, 0, b"one\ntwo\n")
    piece = await log_piece(client, job_id, offset=-4)

    assert (piece.offset, piece.text, piece.next_offset) == (4, "two\n", 8)
    assert (await log_piece(client, job_id, offset=10**15)).text == ""


async def test_broken_bytes_become_replacement_characters(
    client: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    seeds.log(job_id, 0, b"a\xff\x00b")
    assert (await log_piece(client, job_id)).text == "a\ufffd\ufffdb"


@pytest.fixture
async def stored(seeds: Seeds, settings: ApiSettings, job_id: UUID) -> str:
    """The address of an artifact."""
    await open_store(settings.artifacts_url).put_async("some/key", DATA)
    seeds.artifact(job_id, "data.bin", "some/key", DATA, hashlib.sha256(DATA).hexdigest())
    return f"/v1/jobs/{job_id}/artifacts/data.bin"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss.png", 'filename="loss.png"'),
        ("数据.csv", "filename=\"__.csv\"; filename*=UTF-8''%E6%95%B0%E6%8D%AE.csv"),
        ("my plot (1).png", "filename=\"my_plot__1_.png\"; filename*=UTF-8''my%20plot%20%281%29.png"),
        ('a"; filename="b.exe', "filename=\"a___filename__b.exe\"; filename*=UTF-8''a%22%3B%20filename%3D%22b.exe"),
        ("100%25.txt", "filename=\"100_25.txt\"; filename*=UTF-8''100%2525.txt"),
        (".hidden", "filename=\"hidden\"; filename*=UTF-8''.hidden"),
    ],
)
async def test_artifact_keeps_its_name_when_it_is_saved(
    client: httpx.AsyncClient, seeds: Seeds, settings: ApiSettings, job_id: UUID, name: str, expected: str
) -> None:
    await open_store(settings.artifacts_url).put_async("some/key", DATA)
    seeds.artifact(job_id, name, "some/key", DATA, hashlib.sha256(DATA).hexdigest())
    answer = await client.get(f"/v1/jobs/{job_id}/artifacts/{quote(name, safe='')}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f"attachment; {expected}"


async def test_artifact_is_listed_and_downloaded_safely(client: httpx.AsyncClient, job_id: UUID, stored: str) -> None:
    page = ArtifactPage.model_validate_json((await client.get(f"/v1/jobs/{job_id}/artifacts")).content)
    answer = await client.get(stored)

    assert [(item.name, item.size_bytes) for item in page.items] == [("data.bin", len(DATA))]
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-disposition"] == 'attachment; filename="data.bin"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-length"] == str(len(DATA))
    again = await client.get(stored, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=100-199", (100, 200)),
        ("bytes=10000-", (10_000, 10_240)),
        ("bytes=-5", (10_235, 10_240)),
        ("bytes=5-99999999", (5, 10_240)),
        ("bytes=-99999999", (0, 10_240)),
    ],
)
async def test_ranges_of_an_artifact(client: httpx.AsyncClient, stored: str, asked: str, span: tuple[int, int]) -> None:
    answer = await client.get(stored, headers={"Range": asked})

    assert (answer.status_code, answer.content) == (206, DATA[slice(*span)])
    assert answer.headers["content-range"] == f"bytes {span[0]}-{span[1] - 1}/{len(DATA)}"


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
async def test_range_past_the_end_is_refused(client: httpx.AsyncClient, stored: str, asked: str) -> None:
    answer = await client.get(stored, headers={"Range": asked})

    assert (answer.status_code, answer.json()["type"]) == (416, "/problems/range-not-satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize("asked", ["bytes=5-4", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "bytes=-"])
async def test_range_that_makes_no_sense_gives_the_whole(client: httpx.AsyncClient, stored: str, asked: str) -> None:
    assert (await client.get(stored, headers={"Range": asked})).status_code == 200


async def test_range_of_a_file_that_was_replaced_gives_the_new_whole(client: httpx.AsyncClient, stored: str) -> None:
    answer = await client.get(stored, headers={"Range": "bytes=0-1", "If-Range": '"old"'})
    assert (answer.status_code, answer.content) == (200, DATA)


@pytest.mark.parametrize(
    "name",
    ["%2e%2e", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "key", "some%2fkey", "a%00b", "%ff", "x" * 300],
)
async def test_artifact_names_are_looked_up_never_followed(
    client: httpx.AsyncClient, job_id: UUID, stored: str, name: str, tmp_path: Path
) -> None:
    answer = await client.get(f"/v1/jobs/{job_id}/artifacts/{name}")

    assert answer.status_code in {404, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_lost_bytes_of_an_artifact_are_said_to_be_lost(
    client: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    seeds.artifact(job_id, "gone.txt", "no/such/key", b"xy", "0" * 64)
    answer = await client.get(f"/v1/jobs/{job_id}/artifacts/gone.txt")

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/artifact-not-found")


async def test_empty_artifact_is_downloaded(client: httpx.AsyncClient, seeds: Seeds, job_id: UUID) -> None:
    seeds.artifact(job_id, "empty.txt", "no/such/key", b"", hashlib.sha256(b"").hexdigest())
    answer = await client.get(f"/v1/jobs/{job_id}/artifacts/empty.txt")

    assert (answer.status_code, answer.content) == (200, b"")
