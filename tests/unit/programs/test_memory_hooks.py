"""Phases and readings of the allocator come without the program's help."""

import os
import sys
from pathlib import Path

from tests.unit.programs.hosting import Place, run_script

TRAIN = """
import torch
from gpulab import run
device = "cuda" if torch.cuda.is_available() else "cpu"
model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 4)).to(device)
optimizer = torch.optim.Adam(model.parameters())
loss_of = torch.nn.CrossEntropyLoss()
hooks = torch.nn.modules.module._global_forward_pre_hooks
x, y = torch.rand(32, 64, device=device), torch.zeros(32, dtype=torch.int64, device=device)
seen = []
for step in range(4):
    with torch.no_grad():
        model(x)
    optimizer.zero_grad()
    for _ in range(2):
        loss_of(model(x), y).backward()
    optimizer.step()
    seen.append(len(hooks))
run.result({"hooks": str(seen), "plain": torch.autograd.backward.__module__})
run.metrics(1, loss=1.0, memory_bytes=2.0)
"""
STEP = ["forward", "backward", "forward", "backward", "step"]


def test_first_two_steps_are_marked_and_then_nothing_is_left(tmp_path: Path) -> None:
    found = run_script(tmp_path, {"train.py": TRAIN})
    assert [each["name"] for each in found.of("phase")] == [*STEP, *STEP, "train"]
    assert found.of("memory") == []
    assert found.end["value"] == {"hooks": "[1, 0, 0, 0]", "plain": "torch.autograd"}
    assert found.series("loss") == [(1, 1.0)]


def test_compiled_model_and_failing_step_are_not_disturbed(tmp_path: Path) -> None:
    program = """
import torch
from gpulab import run
model = torch.compile(torch.nn.Linear(4, 2), backend="eager", fullgraph=True)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for _ in range(3):
    model(torch.rand(3, 4)).sum().backward()
    optimizer.step()
run.result({"done": True})
"""
    found = run_script(tmp_path, {"train.py": program})
    assert found.end.get("value") == {"done": True}, found.output
    assert [each["name"] for each in found.of("phase")][-1] == "train"


def test_allocator_is_read_at_every_mark_on_a_gpu(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write({"train.py": TRAIN})
    place.order("script", {"command": ["python", "train.py"]}, device="cuda", gpu_memory_bytes=2**31)
    found = place.result_of(place.start(before=[sys.executable, "-m", "emulator", "T4", "--"], env=dict(os.environ)))
    assert found.status == 0, found.output
    readings = found.of("memory")
    assert len(readings) >= 2 * len(STEP) + 2
    assert max(each["peak_allocated_bytes"] for each in readings) > 64 * 256 * 4 * 4
    assert {"allocator-peak.json"} <= found.artifacts
    # An emulated GPU computes nothing.
    assert [list(each["values"]) for each in found.of("metric")] == [["memory_bytes"]]


def test_out_of_memory_on_a_gpu_is_explained(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = (
        "import torch\nclass M(torch.nn.Module):\n    def forward(self, x): return torch.empty(2**40, device='cuda')\n"
    )
    place.write({"train.py": f"{program}M()(torch.ones(1, device='cuda'))"})
    place.order("script", {"command": ["python", "train.py"]}, device="cuda")
    found = place.result_of(place.start(before=[sys.executable, "-m", "emulator", "T4", "--"], env=dict(os.environ)))
    assert found.end["cause"] == "out_of_memory", found.output
    assert found.end["failure"]["phase"] == "forward"
    assert found.end["failure"]["requested_bytes"] == 2**42
