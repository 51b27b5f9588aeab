"""Which nodes the scheduler sets aside, and for how long: from rows alone."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gpulab.states import NodeFault
from models.settings import SchedulerSettings
from scheduler.inspection import Fault, judge

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SETTINGS = SchedulerSettings(database_url="postgresql://", redis_url="redis://", artifacts_url="file:///")
QUIET = timedelta(seconds=SETTINGS.fault_quiet_seconds)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def node(**given: Any) -> SimpleNamespace:
    plain = {"name": "n1", "now": NOW, "clock_skew_seconds": 0.01, "reconnects": [], "untaken_leases": 0}
    return SimpleNamespace(**{**plain, "admitted": False, "cleared_at": None, **given})


def gpu(**given: Any) -> SimpleNamespace:
    plain = {"uuid": "GPU-1", "node": "n1", "index": 0, "reason": "lost", "xid": None, "known_total_bytes": 80}
    marks = dict.fromkeys(("xid_at", "contested_at", "contested_by", "unhealthy_at"))
    return SimpleNamespace(**{**plain, **marks, "memory_total_bytes": 80, **given})


def verdict(row: Any, *gpus: Any, **changes: Any) -> Fault | None:
    return judge(row, gpus, SETTINGS.model_copy(update=changes))


def test_node_in_order_is_trusted() -> None:
    assert verdict(node(), gpu()) is None
    assert verdict(node(clock_skew_seconds=None)) is None


@pytest.mark.parametrize("skew", [11.0, -11.0])
def test_wrong_clock_keeps_it_out_for_as_long_as_it_is_wrong(skew: float) -> None:
    found = verdict(node(clock_skew_seconds=skew))
    assert found is not None
    assert (found.kind, found.until) == (NodeFault.CLOCK_SKEW, NOW + QUIET)
    assert f"{skew:+.0f} s" in found.message


def test_flapping_counts_the_reconnects_of_the_window_and_ends_quiet_after_the_last() -> None:
    often = [ago(seconds) for seconds in (10, 100, 200, 300, 400)]
    found = verdict(node(reconnects=often))
    assert found is not None
    assert (found.kind, found.until) == (NodeFault.FLAPPING, ago(10) + QUIET)
    assert verdict(node(reconnects=[*often[:4], ago(601)])) is None
    assert verdict(node(reconnects=[at - QUIET for at in often])) is None


def test_jobs_in_a_row_that_it_did_not_take_up_keep_it_out_until_quiet_after_the_last() -> None:
    found = verdict(node(untaken_leases=3, untaken_at=ago(20)))
    assert found is not None
    assert (found.kind, found.until) == (NodeFault.UNRESPONSIVE, ago(20) + QUIET)
    assert "3 jobs in a row" in found.message
    assert verdict(node(untaken_leases=2, untaken_at=ago(20))) is None
    assert verdict(node(untaken_leases=3, untaken_at=NOW - QUIET)) is None, "it is tried again"


def test_lost_gpu_keeps_the_node_out_until_quiet_after_the_loss() -> None:
    found = verdict(node(), gpu(unhealthy_at=ago(20)))
    assert found is not None
    assert (found.kind, found.until) == (NodeFault.GPU_LOST, ago(20) + QUIET)
    assert "GPU 0 (GPU-1) is lost: lost" in found.message
    assert verdict(node(), gpu(unhealthy_at=NOW - QUIET)) is None, "it goes on with the GPUs that it has left"


def test_xid_is_named() -> None:
    found = verdict(node(), gpu(xid=79, xid_at=ago(1)))
    assert found is not None
    assert found.kind is NodeFault.GPU_XID
    assert "Xid 79" in found.message


def test_changed_memory_keeps_the_node_out_until_it_is_as_before() -> None:
    found = verdict(node(), gpu(memory_total_bytes=40))
    assert found is not None
    assert (found.kind, found.until) == (NodeFault.GPU_CHANGED, NOW + QUIET)
    assert verdict(node(), gpu(memory_total_bytes=None)) is None
    assert verdict(node(), gpu(memory_total_bytes=78)) is None, "another driver keeps a little more for itself"


def test_both_nodes_that_report_one_gpu_are_kept_out() -> None:
    shared = gpu(contested_by="n2", contested_at=ago(1))
    for name, other in (("n1", "n2"), ("n2", "n1")):
        found = verdict(node(name=name), shared)
        assert found is not None
        assert found.kind is NodeFault.GPU_DUPLICATE
        assert f"node {other} reports" in found.message
    assert verdict(node(name="n2"), gpu(contested_by="n2", xid=79, xid_at=ago(1))) is None, "only its owner's trouble"


def test_what_was_before_the_admins_order_counts_no_more() -> None:
    row = node(cleared_at=ago(5), reconnects=[ago(10)] * 5)
    assert verdict(row, gpu(unhealthy_at=ago(6), xid=79, xid_at=ago(6))) is None
    assert verdict(row, gpu(xid=79, xid_at=ago(4))) is not None


def test_token_is_asked_for_only_where_the_lab_says_so() -> None:
    assert verdict(node()) is None
    found = verdict(node(), node_tokens_required=True)
    assert found is not None
    assert (found.kind, found.until) == (NodeFault.NO_TOKEN, NOW)
    assert verdict(node(admitted=True), node_tokens_required=True) is None


def test_fault_that_lasts_longest_is_the_one_told() -> None:
    found = verdict(node(clock_skew_seconds=60.0), gpu(unhealthy_at=ago(20)))
    assert found is not None
    assert found.kind is NodeFault.CLOCK_SKEW
