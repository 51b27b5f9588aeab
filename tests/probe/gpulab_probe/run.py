"""What the probe does."""

import ctypes
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from experiments.contract import Diverged, Run, Stopped
from gpulab_probe import snapshots
from gpulab_probe.spec import ProbeResult, ProbeSpec


def run(spec: ProbeSpec, run: Run) -> ProbeResult:
    print(f"probe begins; GPUs [{os.environ.get('CUDA_VISIBLE_DEVICES')}]", flush=True)  # noqa: T201 - for output.log
    if spec.alone_in is not None:
        _be_alone(Path(spec.alone_in))
    first, total = _resume(run)
    if spec.child:
        _start_stubborn_child()
    for step in range(first + 1, spec.steps + 1):
        _pass_gate(spec, run, step)
        _obey(spec, run)
        total += step
        run.metrics(step, {"step": step, "double": 2 * step})
        run.progress(step / spec.steps, f"step {step}")
        if spec.checkpoint_every and step % spec.checkpoint_every == 0:
            with run.checkpoint(step) as path:
                path.write_text(json.dumps({"total": total}))
    if spec.snapshot:
        snapshots.keep(run)
    _end(spec)
    if spec.steps:
        run.table("steps", ["total"], [[total]])
    return ProbeResult(total=total, resumed_from=first)


def _be_alone(folder: Path) -> None:
    """Lock a file named by the job, whose id begins the name of the run directory, until this process ends."""
    name, _, attempt = Path.cwd().name.rpartition("-")
    file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(file, f"{attempt}\n".encode())


def _resume(run: Run) -> tuple[int, int]:
    found = run.latest_checkpoint()
    return (0, 0) if found is None else (found[0], json.loads(found[1].read_text())["total"])


def _pass_gate(spec: ProbeSpec, run: Run, step: int) -> None:
    while spec.gate is not None and _opened(Path(spec.gate)) < step:
        _obey(spec, run)
        time.sleep(0.005)


def _opened(gate: Path) -> int:
    try:
        return int(gate.read_text() or 0)
    except FileNotFoundError:
        return 0


def _obey(spec: ProbeSpec, run: Run) -> None:
    if run.should_stop() and not spec.ignore_stop:
        raise Stopped


def _start_stubborn_child() -> None:
    code = "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(300)"
    subprocess.Popen([sys.executable, "-c", code])


def _end(spec: ProbeSpec) -> None:
    match spec.ending:
        case "error":
            raise ValueError("the probe was told to fail")
        case "diverged":
            raise Diverged("loss is nan at step 3")
        case "out_of_memory":
            raise MemoryError("the probe was told to run out")
        case "full_gpu":
            _train_in(24 * 2**20)
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "nan":
            raise ValueError("nan\0with a NUL character")
        case "result":
            pass


def _train_in(memory_bytes: int) -> None:
    """Train a layer in so much memory, which is too little for its gradient."""
    import torch

    from gpulab_probe.limited import LimitedMemory

    with LimitedMemory(memory_bytes):
        device = "cuda" if torch.cuda.is_available() else "cpu"
        layer = torch.nn.Linear(2048, 2048, device=device)
        layer(torch.ones(1, 2048, device=device)).sum().backward()
