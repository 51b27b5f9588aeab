"""Makes a context, then loads what a training step needs, and holds still at each for the node to look."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from experiments.contract import Run
from experiments.internal.gpu_constants.spec import (
    CONTEXT,
    LIBRARIES,
    TIMEOUT_SECONDS,
    GpuConstantsResult,
    GpuConstantsSpec,
    seen,
)

CONVOLUTIONS = ((3, 64, 7, 112), (64, 64, 3, 56), (256, 256, 3, 14), (256, 1024, 1, 14), (512, 512, 3, 7))
"""Channels in and out, kernel and pixels: those of ResNets on images of 224 pixels."""
PICTURES = 8
MATRIX = 1024


def run(spec: GpuConstantsSpec, run: Run) -> GpuConstantsResult:  # noqa: ARG001 - nothing to choose
    """Raises `RuntimeError` where torch sees no GPU, or where nobody looks."""
    if not torch.cuda.is_available():
        raise RuntimeError("torch sees no GPU")
    torch.zeros(1, device="cuda")
    _hold(run, CONTEXT)
    cublas_bytes = _kept_by_matrix_products()
    scratch_bytes = max(_scratch_of_convolution(*shape) for shape in CONVOLUTIONS)
    _training_step()
    _hold(run, LIBRARIES)
    return GpuConstantsResult(cublas_workspace_bytes=cublas_bytes, convolution_workspace_bytes=scratch_bytes)


def _hold(run: Run, stage: str) -> None:
    torch.cuda.synchronize()
    run.memory(allocated_bytes=torch.cuda.memory_allocated(), reserved_bytes=torch.cuda.memory_reserved())
    run.phase(stage)
    until = time.monotonic() + TIMEOUT_SECONDS
    while not Path(seen(stage)).exists():
        if time.monotonic() > until:
            raise RuntimeError(f"the worker took no reading within {TIMEOUT_SECONDS:g} s")
        time.sleep(0.01)


def _kept_by_matrix_products() -> int:
    before = torch.cuda.memory_allocated()
    left = torch.ones(MATRIX, MATRIX, device="cuda")
    product = functional.linear(left @ left, left, left[0])
    del left, product
    torch.cuda.synchronize()
    return torch.cuda.memory_allocated() - before


def _scratch_of_convolution(channels: int, out: int, kernel: int, pixels: int) -> int:
    """The most that the forward pass or one of the two gradients takes beyond what is alive after it."""
    images_BCHW = torch.rand(PICTURES, channels, pixels, pixels, device="cuda", requires_grad=True)
    weights = torch.rand(out, channels, kernel, kernel, device="cuda", requires_grad=True)
    output_BCHW, forward = _with_scratch(lambda: functional.conv2d(images_BCHW, weights, padding=kernel // 2))
    grad_BCHW = torch.ones_like(output_BCHW)
    backward = [
        _with_scratch(partial(torch.autograd.grad, output_BCHW, wanted, grad_BCHW, retain_graph=True))[1]
        for wanted in (images_BCHW, weights)
    ]
    return max(forward, *backward)


def _with_scratch(operation: Callable[[], Any]) -> tuple[Any, int]:
    torch.cuda.reset_peak_memory_stats()
    made = operation()
    return made, torch.cuda.max_memory_allocated() - torch.cuda.memory_allocated()


def _training_step() -> None:
    """Loads the kernels of what most models are made of, and of an optimizer."""
    model = nn.Sequential(
        nn.Conv2d(3, 64, 7, stride=2, padding=3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(64),
        nn.Dropout(0.5), nn.Linear(64, 10),
    ).cuda()  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters())
    images_BCHW = torch.rand(PICTURES, 3, 224, 224, device="cuda")
    labels_B = torch.zeros(PICTURES, dtype=torch.int64, device="cuda")
    loss = functional.cross_entropy(model(images_BCHW), labels_B)
    torch.autograd.backward(loss)
    optimizer.step()
