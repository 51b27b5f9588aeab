"""A process takes the steps of many workloads: each takes to the byte what it takes in a process of its own."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from emulator.cards import CARDS
from emulator.world import ENDLESS_BYTES
from experiments.memory.card import Attempt, EmulatedCard
from experiments.memory.contract import Workload
from experiments.memory.processes import Child, call, each

MIB = 1 << 20
SMALL = Workload(model="resnet18", batch_size=8, optimizer="adam", image_size=64)
WORKLOADS = [
    SMALL,
    SMALL.model_copy(update={"batch_size": 31}),
    SMALL.model_copy(update={"batch_size": 5, "precision": "float16", "optimizer": "sgd"}),
    Workload(model="vit_b_32", batch_size=3, optimizer="adam", implementation="fused"),
    Workload(model="mobilenet_v3_small", batch_size=16, image_size=64, channels_last=True, evaluation_batch_size=9),
    Workload(model="swin_t", batch_size=4, image_size=64, checkpointing=True),
    SMALL.model_copy(update={"batch_size": 700}),
]
Runs = Sequence[tuple[Workload, int]]


def in_a_row(card: str, runs: Runs) -> list[Attempt]:
    one = EmulatedCard(card)
    one.recorded(runs[0][0])
    whole, ended_early = one.attempted(SMALL), one.attempted(SMALL, enough_bytes=100 * MIB)
    assert 100 * MIB < ended_early.peak_reserved_bytes < whole.peak_reserved_bytes
    return [one.attempted(*run) for run in runs]


def each_alone(card: str, runs: Runs) -> list[Attempt]:
    return list(each(alone, [(card, *run) for run in runs]))


def alone(card: str, workload: Workload, limit_bytes: int) -> Attempt:
    return EmulatedCard(card).attempted(workload, limit_bytes)


def both(card: str, runs: Runs) -> tuple[list[Attempt], list[Attempt]]:
    return Child(in_a_row, card, runs).result(), each_alone(card, runs)


@pytest.mark.parametrize("card", CARDS)
def test_what_a_run_takes_does_not_depend_on_those_before(card: str) -> None:
    row, single = call(both, card, [(workload, ENDLESS_BYTES) for workload in WORKLOADS])
    assert row == single
    assert row[0].is_smooth


@pytest.mark.parametrize("card", ["T4", "H100"])
def test_runs_that_lack_memory_leave_nothing_behind(card: str) -> None:
    """Each size once: cuDNN remembers a plan that it chose because memory was short."""
    endless = call(each_alone, card, [(workload, ENDLESS_BYTES) for workload in WORKLOADS])
    shares = (0.97, 0.9, 0.5, 0.97, 0.9, 0.99, 0.93)
    limits = [int(share * found.peak_reserved_bytes) for share, found in zip(shares, endless, strict=True)]
    row, single = call(both, card, list(zip(WORKLOADS[1:], limits[1:], strict=True)))
    assert [(one.fits, one.is_smooth, one.peak_reserved_bytes) for one in row] == [
        (one.fits, one.is_smooth, one.peak_reserved_bytes) for one in single
    ]
    assert not any(attempt.is_smooth for attempt in row)


def backward_passes_that_fail(card: str, workload: Workload, limit_bytes: int, count: int) -> list[tuple[bool, int]]:
    one = EmulatedCard(card)
    one.recorded(workload)
    sized = (workload.model_copy(update={"batch_size": workload.batch_size + more}) for more in range(count))
    return [(one.attempted(size, limit_bytes).fits, torch.cuda.memory_reserved()) for size in sized]


def failing(*arguments: Any) -> list[tuple[bool, int]]:
    found: list[tuple[bool, int]] = Child(backward_passes_that_fail, *arguments).result()
    return found


def test_a_backward_pass_that_fails_has_given_everything_back_before_the_next_run() -> None:
    """The thread of autograd that ran out of memory holds tensors a little longer than the error is on its way."""
    workload = Workload(model="convnext_tiny", batch_size=157, image_size=64)
    assert call(failing, "T4", workload, 1598 * MIB, 12) == [(False, 0)] * 12
