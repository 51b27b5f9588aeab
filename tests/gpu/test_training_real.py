"""What students' programs do on a GPU, on the machine's own or an emulated one. Values are not looked at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from emulator import is_emulated

pytestmark = pytest.mark.gpu
MIB = 1 << 20


def small_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 64, 3, stride=2), nn.GELU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    ).cuda()  # fmt: skip


def peak_of_a_step(model: nn.Module, images_BCHW: torch.Tensor, dtype: torch.dtype | None = None) -> int:
    """The most that two steps have allocated beyond what was there."""
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler("cuda", enabled=dtype is torch.float16)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    for _ in range(2):
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype or torch.float16, enabled=dtype is not None):
            loss = model(images_BCHW).sum()
        torch.autograd.backward(scaler.scale(loss))
        scaler.step(optimizer)
        scaler.update()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def in_a_process(code: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | more
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=100)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(64, 3, 64, 64, device="cuda")


def test_half_precision_takes_less_for_its_activations(images: torch.Tensor) -> None:
    whole = peak_of_a_step(small_network(), images)
    half = peak_of_a_step(small_network(), images, torch.float16)
    assert 0.4 * whole < half < whole


def test_channels_last_trains_as_well(images: torch.Tensor) -> None:
    model = small_network().to(memory_format=torch.channels_last)
    assert peak_of_a_step(model, images.contiguous(memory_format=torch.channels_last), torch.float16) > 0
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_benchmark_mode_tries_plans_and_frees_their_workspaces(images: torch.Tensor) -> None:
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        peak_of_a_step(small_network(), images)
        first = torch.cuda.memory_allocated()
        peak_of_a_step(small_network(), images)
        assert torch.cuda.memory_allocated() <= first + MIB


def test_loader_with_workers_pins_its_batches_for_the_copy() -> None:
    data = TensorDataset(torch.rand(64, 3, 32, 32), torch.arange(64))
    loader = DataLoader(data, batch_size=16, num_workers=2, pin_memory=True)
    seen = 0
    for images, labels in loader:
        assert images.is_pinned()
        on_card = images.cuda(non_blocking=True)
        seen += len(labels.cuda())
        assert on_card.shape == images.shape
    assert seen == 64


def test_expandable_segments_grow_in_place_and_hold_no_more_than_is_asked_for() -> None:
    code = """
import torch
MIB = 1 << 20
held = [torch.empty(size * MIB, dtype=torch.uint8, device="cuda") for size in (30, 50, 70)]
assert len(torch.cuda.memory_snapshot()) == 1, "one segment that grew"
print(torch.cuda.memory_reserved() // MIB)
del held
torch.cuda.empty_cache()
print(torch.cuda.memory_reserved())
"""
    done = in_a_process(
        code, PYTORCH_CUDA_ALLOC_CONF="expandable_segments:True", PYTORCH_ALLOC_CONF="expandable_segments:True"
    )
    assert done.returncode == 0, done.stderr
    held_mib, after = map(int, done.stdout.split())
    assert 150 <= held_mib <= 160
    assert after == 0


def test_out_of_memory_says_what_was_asked_for_and_what_there_is() -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    with pytest.raises(torch.OutOfMemoryError, match=r"Tried to allocate .* total capacity of .* is free") as caught:
        torch.empty(2 * total, dtype=torch.uint8, device="cuda")
    assert f"{total / (1 << 30):.2f} GiB" in str(caught.value)


def test_out_of_memory_names_the_neighbour_that_holds_the_card() -> None:
    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(free - 512 * MIB, dtype=torch.uint8, device="cuda")
    done = in_a_process("import torch; torch.empty(2 << 30, dtype=torch.uint8, device='cuda')")
    del held
    assert done.returncode != 0
    assert "OutOfMemoryError" in done.stderr
    assert f"Process {os.getpid()} has" in done.stderr


def test_a_fraction_of_the_card_is_a_fence() -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(256 * MIB / total)
    try:
        with pytest.raises(torch.OutOfMemoryError, match=r"256\.\d\d MiB allowed"):
            torch.empty(257 * MIB, dtype=torch.uint8, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_checkpoint_of_one_card_is_read_on_another(tmp_path: Path) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("this machine has one GPU")
    model = small_network()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    state = torch.load(tmp_path / "model.pt", map_location="cuda:1")
    other = small_network().to("cuda:1")
    other.load_state_dict(state)
    assert {parameter.device.index for parameter in other.parameters()} == {1}
    assert torch.cuda.memory_allocated(1) > 0


def test_graph_is_captured_and_replayed() -> None:
    graph, x = torch.cuda.CUDAGraph(), torch.zeros(10, device="cuda")
    with torch.cuda.graph(graph):
        y = x + 1
    graph.replay()
    assert y.shape == x.shape


def test_attention_and_a_transformer_train() -> None:
    layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True).cuda()
    assert peak_of_a_step(layer, torch.rand(4, 64, 128, device="cuda"), torch.bfloat16) > 0


def test_fourier_transforms_and_batched_solvers_run() -> None:
    signal = torch.rand(4, 3, 32, 32, device="cuda", requires_grad=True)
    torch.fft.irfft2(torch.fft.rfft2(signal)).sum().backward()
    assert signal.grad is not None
    matrices = torch.rand(4, 8, 8, device="cuda") + 8 * torch.eye(8, device="cuda")
    assert torch.linalg.solve(matrices, matrices).shape == torch.linalg.inv(matrices).shape == matrices.shape


def test_what_is_not_emulated_names_itself() -> None:
    if not is_emulated():
        pytest.skip("this GPU is real")
    with pytest.raises(RuntimeError, match="cusolverDnCreate"):
        torch.linalg.cholesky(torch.eye(8, device="cuda"))
