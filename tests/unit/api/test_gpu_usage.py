"""Energy and memory over time from samples: exact sums, and a reason for everything that is not known."""

from typing import Any

from api.results.gpu_usage import COUNTER_RESET, NO_GPU, NO_READINGS, usage

GIB = 2**30


def gpu(attempt: int = 1, uuid: str = "GPU-1", reasons: dict[str, str] | None = None, **values: Any) -> dict[str, Any]:
    times = [100.0, 101.0, 103.0]
    return {
        "source": "gpu",
        "gpu_uuid": uuid,
        "attempt": attempt,
        "times": times,
        "values": values,
        "reasons": reasons or {},
    }


def of(track: dict[str, Any], **more: Any) -> dict[str, Any]:
    (found,) = usage([track], more.get("attempts", {track["attempt"]}), more.get("shared", set()))
    return found


def test_energy_is_the_counters_growth_and_memory_the_area_under_it() -> None:
    found = of(gpu(energy_joules=[5.0, 250.0, 800.0], process_used_bytes=[0, 2 * GIB, 4 * GIB]))
    assert (found["seconds"], found["energy_joules"], found["gib_seconds"]) == (3.0, 795.0, 1 + 6)
    assert (found["shared"], found["reasons"]) == (False, {})


def test_power_stands_in_for_a_counter_that_the_gpu_lacks() -> None:
    found = of(gpu(energy_joules=[None] * 3, power_watts=[100.0, 200.0, 200.0], process_used_bytes=[GIB] * 3))
    assert found["energy_joules"] == 150 + 400


def test_unknown_stretches_are_bridged_between_known_readings() -> None:
    assert of(gpu(process_used_bytes=[GIB, None, GIB]))["gib_seconds"] == 3


def test_what_was_never_read_is_null_with_the_drivers_reason() -> None:
    reasons = {"energy_joules": "not_supported", "process_used_bytes": "pid_unknown"}
    found = of(gpu(reasons=reasons, energy_joules=[None] * 3, process_used_bytes=[None] * 3))
    assert (found["energy_joules"], found["gib_seconds"]) == (None, None)
    assert found["reasons"] == {"energy_joules": "not_supported", "gib_seconds": "pid_unknown"}


def test_counter_that_began_again_is_no_energy() -> None:
    found = of(gpu(energy_joules=[900.0, 1000.0, 4.0], process_used_bytes=[GIB] * 3))
    assert (found["energy_joules"], found["reasons"]) == (None, {"energy_joules": COUNTER_RESET})


def test_single_sample_spans_no_time() -> None:
    found = of(gpu() | {"times": [1.0]})
    assert set(found["reasons"].values()) == {NO_READINGS}


def test_attempt_on_the_cpu_says_that_there_was_no_gpu() -> None:
    host = {"source": "host", "gpu_uuid": None, "attempt": 1, "times": [1.0, 2.0], "values": {}, "reasons": {}}
    found = of(host)
    assert (found["gpu_uuid"], found["energy_joules"], found["gib_seconds"]) == (None, None, None)
    assert set(found["reasons"].values()) == {NO_GPU}


def test_each_gpu_of_each_attempt_is_counted_and_marked_by_itself() -> None:
    tracks = [gpu(2), gpu(1, "GPU-2"), gpu(1)]
    found = usage(tracks, {1, 2, 3}, {2})
    assert [(one["attempt"], one["gpu_uuid"], one["shared"]) for one in found] == [
        (1, "GPU-1", False),
        (1, "GPU-2", False),
        (2, "GPU-1", True),
        (3, None, False),
    ]
