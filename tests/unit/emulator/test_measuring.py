"""Programs of every kind, measured on emulated cards: each in a process of its own, most of them forked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import emulator
from emulator import Measurement, Outcome, measuring
from emulator.__main__ import main
from emulator.build import BuildError, build
from emulator.cards import MIB, card
from emulator.loading import CARDS_VARIABLE, environment
from emulator.world import World, emulated
from tests.warm_witness import WarmWitnesses

START = measuring._start
MODEL = """
import os, sys
import torch
from torch import nn
def training(width=512, optimizer=torch.optim.Adam):
    with torch.device("cuda"):
        model = nn.Sequential(nn.Linear(256, width), nn.ReLU(), nn.Linear(width, 10))
    return model, optimizer(model.parameters(), lr=0.1)
def batch(size=64):
    return torch.randn(size, 256, device="cuda"), torch.zeros(size, dtype=torch.long, device="cuda")
def loss_of(model, size=64):
    inputs, labels = batch(size)
    return nn.functional.cross_entropy(model(inputs), labels)
def train(model, optimizer, size=64):
    optimizer.zero_grad()
    loss = loss_of(model, size)
    loss.backward()
    optimizer.step()
    return loss
"""


@pytest.fixture(scope="module")
def witnesses() -> Iterator[WarmWitnesses]:
    try:
        build()
    except BuildError as error:
        pytest.skip(str(error))
    made = WarmWitnesses()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _card(witnesses: WarmWitnesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measuring, "_start", witnesses.start)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each program in an interpreter of its own, as outside of these tests."""
    monkeypatch.setattr(measuring, "_start", START)


def measured(body: str, steps: int = 2, name: str = "T4", limit_seconds: float = 90) -> Measurement:
    Path("train.py").write_text(MODEL + body)
    return emulator.measure("train.py", name, steps, limit_seconds=limit_seconds)


def alone(body: str) -> list[int]:
    """The numbers that the same program prints last when nobody watches it."""
    # Without the interpreter's own end, which PyTorch's thread of the backward pass turns into SIGABRT now and then.
    Path("alone.py").write_text(f"{MODEL}{body}\nimport os, sys\nsys.stdout.flush()\nos._exit(0)\n")
    world = World(Path("world.txt").resolve())
    world.write(emulated(card("T4"), 0))
    env = {**os.environ, CARDS_VARIABLE: "T4", **environment(world)}
    done = subprocess.run([sys.executable, "alone.py"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-4000:])
    return [int(number) for number in done.stdout.split()]


FOREVER = "model, optimizer = training()\nwhile True:\n    train(model, optimizer)\n"
ACCUMULATED = """
model, optimizer = training(width=4096)
for step in range(2):
    for size in (64, 2048, 32):
        (loss_of(model, size) / 3).backward()
    optimizer.step()
    optimizer.zero_grad()
print(torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved())
"""


def test_a_program_without_end_is_measured_step_by_step() -> None:
    found = measured(f"try:\n    {FOREVER.replace(chr(10), chr(10) + '    ')}\nfinally:\n    open('saved', 'w')\n")
    assert found.outcome is Outcome.FITS, found
    assert found.reason is None
    assert [step.optimizer for step in found.steps] == ["Adam", "Adam"]
    assert found.environment.card == "T4"
    assert found.environment.device_bytes == card("T4").usable_bytes
    assert found.environment.torch_version is not None
    assert found.peak_phase in {"forward", "backward", "step"}
    assert found.assumptions == ()
    assert not Path("saved").exists(), "the program went on after its last step"


@pytest.mark.usefixtures("fresh")
def test_peaks_are_those_that_the_program_reads_by_itself() -> None:
    """Accumulated gradients: the largest of three batches is in the middle, and the first step has no state before."""
    found = measured(ACCUMULATED)
    assert found.outcome is Outcome.FITS, found
    assert [found.peak_allocated_bytes, found.peak_reserved_bytes] == alone(ACCUMULATED)
    assert len(found.steps) == 2
    assert found.steps[1].peak_allocated_bytes == found.peak_allocated_bytes > found.steps[0].peak_allocated_bytes
    assert found.steps[1].peak_phase in {"forward", "backward"}


def test_a_program_that_runs_out_of_memory_is_answered_with_its_layer() -> None:
    found = measured("train(*training(), size=1 << 22)\nlarge = 1\n" + FOREVER)
    assert found.outcome is Outcome.OUT_OF_MEMORY, found
    assert found.fits is False
    assert found.out_of_memory is not None
    assert found.out_of_memory.layer == "1 (ReLU)"
    assert found.out_of_memory.phase == "forward"
    assert found.reason is not None
    assert found.reason.startswith("CUDA out of memory. Tried to allocate 8.00 GiB")
    assert found.peak_allocated_bytes is not None
    assert 4096 * MIB < found.peak_allocated_bytes < card("T4").usable_bytes


def test_running_out_of_memory_in_backward_is_answered_without_a_layer() -> None:
    deep = "nn.functional.linear(torch.randn(2_000_000, 256, device='cuda'), weight).sigmoid().exp().sigmoid().sum()"
    found = measured(f"weight = torch.ones(512, 256, device='cuda', requires_grad=True)\n{deep}.backward()")
    assert found.outcome is Outcome.OUT_OF_MEMORY, found
    assert found.out_of_memory is not None
    assert found.out_of_memory.phase == "backward"
    assert found.out_of_memory.layer is None
    assert found.out_of_memory.message == found.reason


def test_an_error_of_memory_that_the_program_catches_is_not_the_last_word() -> None:
    attempt = "for size in (1 << 22, 64):\n    try:\n        train(model, optimizer, size)\n"
    attempt += "    except torch.OutOfMemoryError:\n"
    found = measured(f"model, optimizer = training()\n{attempt}        continue\n{FOREVER}")
    assert found.outcome is Outcome.FITS, found
    assert len(found.assumptions) == 1
    gives_up = measured(f"model, optimizer = training()\n{attempt}        sys.exit('too large')\n")
    assert gives_up.outcome is Outcome.OUT_OF_MEMORY, gives_up
    assert gives_up.output.endswith("too large\n")


def test_mixed_precision_with_a_scaler_is_measured() -> None:
    loop = """
model, optimizer = training()
scaler = torch.amp.GradScaler("cuda")
while True:
    optimizer.zero_grad()
    with torch.autocast("cuda", dtype=torch.float16):
        loss = loss_of(model)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
"""
    found = measured(loop)
    assert found.outcome is Outcome.FITS, found
    assert found.assumptions == ()


@pytest.mark.parametrize("name", ["T4", "A100", "H100"])
def test_attention_in_half_precision_is_measured_on_every_architecture(name: str) -> None:
    loop = """
layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).cuda()
optimizer = torch.optim.AdamW(layer.parameters())
while True:
    optimizer.zero_grad()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = layer(torch.randn(8, 32, 64, device="cuda")).float().sum()
    loss.backward()
    optimizer.step()
"""
    found = measured(loop, name=name)
    assert found.outcome is Outcome.FITS, found
    assert found.assumptions == ()


def test_a_recurrent_network_is_measured_with_the_sizes_of_cudnn() -> None:
    loop = """
class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.read = nn.Embedding(1000, 64), nn.LSTM(64, 128, 2, batch_first=True, dropout=0.2)
        self.score = nn.Linear(128, 2)
    def forward(self, words):
        return self.score(self.read(self.embed(words))[0][:, -1])
model = Reader().cuda()
optimizer = torch.optim.Adam(model.parameters())
while True:
    optimizer.zero_grad()
    words = torch.randint(1000, (32, STEPS)).cuda()
    nn.functional.cross_entropy(model(words), torch.zeros(32, dtype=torch.long, device="cuda")).backward()
    optimizer.step()
"""
    short, long = (measured(loop.replace("STEPS", str(steps))) for steps in (50, 200))
    assert short.outcome is long.outcome is Outcome.FITS, (short, long)
    assert short.assumptions == ()
    assert short.peak_allocated_bytes is not None
    assert long.peak_allocated_bytes is not None
    gates = 150 * 32 * 128 * 2 * 4 * 4
    assert long.peak_allocated_bytes - short.peak_allocated_bytes > gates, "what the longer sequence keeps for backward"


@pytest.mark.usefixtures("fresh")
def test_a_loader_with_workers_is_measured_and_leaves_none_behind() -> None:
    program = """
from torch.utils.data import DataLoader, Dataset
class Endless(Dataset):
    def __len__(self):
        return 1 << 20
    def __getitem__(self, index):
        open(f"worker-{os.getpid()}", "w").close()
        return torch.zeros(256)
if __name__ == "__main__":
    model, optimizer = training()
    for inputs in DataLoader(Endless(), batch_size=8, num_workers=1, multiprocessing_context="spawn"):
        optimizer.zero_grad()
        model(inputs.cuda()).sum().backward()
        optimizer.step()
"""
    found = measured(program)
    assert found.outcome is Outcome.FITS, found
    pids = [path.name.removeprefix("worker-") for path in Path().glob("worker-*")]
    assert pids
    assert not any(is_running(pid) for pid in pids)


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


LENGTH = "length = 64 * torch.ones(3, device='cuda', dtype=torch.long).max().item()\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (FOREVER.replace("train(m", "assert train(m").replace("zer)", "zer).item() < 0"), "AssertionError (train.py:"),
        ("names = ['a']\nbatch()[1][0].item() and 1\nprint(names[1])", "IndexError: list index out of range"),
        ("open('data.csv')", "FileNotFoundError: [Errno 2] No such file or directory: 'data.csv' (train.py:"),
        ("x = batch()[0]\nprint(x[x > 0].shape)", "the result of nonzero at train.py:"),
        ("training(optimizer=torch.optim.SGD)", "the program took no optimizer step"),
        ("train(*training())", "the program ended with exit code 0 after 1 of 2 optimizer steps"),
        ("batch()\nos._exit(7)", "the program ended with exit code 7 after 0 of 2 optimizer steps"),
        (f"model, optimizer = training()\n{LENGTH}while True:\n    train(model, optimizer, length + 1)",
         "the memory depends on values read at train.py:"),
    ],
)  # fmt: skip
def test_what_depends_on_values_or_takes_no_steps_is_not_predicted(body: str, reason: str) -> None:
    found = measured(body)
    assert found.outcome is Outcome.NOT_PREDICTED, found
    assert found.fits is None
    assert found.reason is not None
    assert found.reason.startswith(reason), found
    assert found.peak_allocated_bytes is None
    assert found.peak_reserved_bytes is None
    assert found.peak_phase_reason == found.reason


def test_what_the_emulator_does_not_have_is_named() -> None:
    found = measured("torch.linalg.cholesky(torch.ones(2, 2).cuda())")
    assert found.outcome is Outcome.NOT_PREDICTED, found
    assert found.reason is not None
    assert found.reason.startswith("RuntimeError: cusolver error")
    assert found.reason.endswith("; the emulated GPU does not have cusolverDnCreate")


def test_a_loop_that_waits_for_a_value_ends_at_the_time_limit() -> None:
    waits = "while loss_of(training()[0]).item() < 1:\n    print('waits' * 1000)\n"
    found = measured(waits, limit_seconds=4)
    assert found.outcome is Outcome.NOT_PREDICTED
    assert found.reason == "0 of 2 optimizer steps were taken within 4 s"
    assert len(found.output) <= 16_384
    assert found.seconds < 25


def test_values_that_are_only_shown_or_guarded_leave_a_prediction_with_its_assumption() -> None:
    guard = "    if loss.item() > 0.5:\n        raise ValueError('diverged')\n"
    loop = f"model, optimizer = training()\nwhile True:\n    loss = train(model, optimizer)\n{guard}"
    found = measured(loop)
    assert found.outcome is Outcome.FITS, found
    assert len(found.assumptions) == 1
    assert "; with ones: ValueError: diverged (train.py:" in found.assumptions[0]
    shown = measured(loop.replace(guard, "    print(loss, model[0].weight)\n    loss.cpu()\n"))
    assert shown.outcome is Outcome.FITS, shown
    assert "tensor(0." in shown.output
    assert len(shown.assumptions) == 1
    assert shown.assumptions[0].endswith("with zeros and ones")


def test_a_check_that_refuses_zeros_leaves_a_prediction_with_its_assumption() -> None:
    """As the distributions of a variational autoencoder do: a deviation of zero is none."""
    loop = """
model, optimizer = training()
while True:
    optimizer.zero_grad()
    hidden = model(batch()[0])
    torch.distributions.Normal(hidden, hidden.exp()).rsample().sum().backward()
    optimizer.step()
"""
    found = measured(loop)
    assert found.outcome is Outcome.FITS, found
    (assumption,) = found.assumptions
    assert "; with zeros: ValueError: Expected parameter loc" in assumption


def test_cufft_work_area_has_the_documented_maximum_size() -> None:
    loop = """
model, optimizer = training()
while True:
    optimizer.zero_grad()
    torch.fft.fft(model(batch(SIZE)[0])).abs().sum().backward()
    optimizer.step()
""".replace("model(", "model[:2](")
    small, large = (measured(loop.replace("SIZE", str(size))) for size in (64, 8192))
    assert small.outcome is large.outcome is Outcome.FITS, (small, large)
    assert small.peak_allocated_bytes is not None
    assert large.peak_allocated_bytes is not None
    signal = (8192 - 64) * 512 * 8
    assert 8 * signal < large.peak_allocated_bytes - small.peak_allocated_bytes < 13 * signal
    assert small.assumptions == ("each cuFFT plan takes eight copies of its signal, the most that NVIDIA documents",)


def test_plans_that_a_real_card_picks_by_their_time_are_an_assumption() -> None:
    found = measured(f"torch.backends.cudnn.benchmark = True\n{FOREVER}")
    assert found.outcome is Outcome.FITS, found
    (assumption,) = found.assumptions
    assert "cudnn.benchmark" in assumption


def test_several_optimizers_are_all_waited_for() -> None:
    body = """
one, first = training(optimizer=torch.optim.SGD)
two, second = training(width=8192)
while True:
    for _ in range(3):
        train(one, first)
    train(two, second)
"""
    found = measured(body, steps=1)
    assert [step.optimizer for step in found.steps] == ["SGD", "SGD", "SGD", "Adam"]


@pytest.mark.usefixtures("fresh")
def test_the_command_measures_a_module_for_people_and_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    Path("homework").mkdir()
    Path("homework/__init__.py").touch()
    check = "import sys\nassert sys.argv[1:] == ['--lr', '0.1'], sys.argv\n"
    Path("homework/__main__.py").write_text(MODEL + check + FOREVER)
    assert main(["measure", "t4", "--steps", "1", "--json", "--", "python", "-m", "homework", "--lr", "0.1"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["outcome"] == "fits"
    assert answer["environment"]["card"] == "T4"
    assert len(answer["steps"]) == 1
    Path("empty.py").touch()
    assert main(["measure", "T4", "--", "empty.py"]) == 3
    assert capfd.readouterr().out.startswith("Not predicted: the program never used the GPU\n")


def test_an_unknown_card_and_a_missing_program_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "V100", "--", "train.py"]) == 2
    assert "no card 'V100' can be emulated" in capfd.readouterr().err
    assert main(["measure", "T4", "--"]) == 2
    with pytest.raises(ValueError, match="at least 1 optimizer step"):
        emulator.measure("train.py", "T4", steps=0)
