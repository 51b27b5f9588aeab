"""The job's process: a spec goes in, a run directory comes out. It knows no database, broker or network of ours.

Started in one of two ways: forked from the warm zygote (`run_forked`), or as a program of its own for a run without a
server: `python -m experiments.host SPEC.yaml --out DIR`.
"""

import argparse
import ctypes
import json
import os
import platform
import random
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from experiments.contract import OUTPUT_FILE, SPEC_FILE, Experiment, Result, Stopped
from experiments.memory.contract import Constants
from experiments.memory.devices import allocator_limit
from experiments.registry import experiments
from experiments.run_directory import RunDirectory
from experiments.verdict import verdict_of

EXIT_OK = 0
EXIT_FAILED = 1
PR_SET_PDEATHSIG = 1
OOM_SCORE_ADJUSTMENT = 800
"""The kernel, short of memory, ends a job before the worker or anything else of the machine."""


def run_forked(folder: str, visible_gpus: str) -> None:
    """Body of a process forked from the zygote: become a group leader, bound to the zygote's life, and run.

    `visible_gpus` becomes `CUDA_VISIBLE_DEVICES`: the UUIDs of the lease, or nothing.
    """
    os.setsid()
    _let_the_zygote_go()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(EXIT_FAILED)
    os.environ["CUDA_VISIBLE_DEVICES"] = visible_gpus
    os.chdir(folder)
    output = os.open(OUTPUT_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.dup2(output, sys.__stderr__.fileno() if sys.__stderr__ else 2)
    _volunteer_for_the_oom_killer()
    status = execute(Path(folder))
    sys.stdout.flush()
    sys.stderr.flush()
    # Skipping the interpreter's teardown saves tens of milliseconds; everything that matters is on disk.
    os._exit(status)


def execute(folder: Path) -> int:
    """Run what `folder/spec.json` describes; the verdict is the last record. Returns the exit status."""
    order = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
    measured = order.get("gpu_constants")
    run = RunDirectory(
        folder,
        seed=order["seed"],
        device=order["device"],
        datasets_folder=Path(order["datasets_folder"]),
        cache_folder=Path(order["cache_folder"]),
        gpu_constants=measured and Constants.model_validate(measured),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: run.ask_to_stop())
    try:
        _carry_out(order, run)
    except Stopped as stopped:
        run.record("stopped", message=str(stopped))
    except Exception as error:  # noqa: BLE001 - the process boundary: whatever went wrong becomes the verdict
        traceback.print_exc()
        run.record("error", **verdict_of(error, order, run, experiments().get(order["experiment"])))
        return EXIT_FAILED
    finally:
        run.close()
    return EXIT_OK


def _carry_out(order: dict[str, Any], run: RunDirectory) -> None:
    experiment = experiments()[order["experiment"]]
    spec = experiment.spec.model_validate(order["spec"])
    _prepare_torch(order, run)
    run.record("started", pid=os.getpid(), device=run.device, versions=versions())
    result: Result = _load(experiment.run)(spec, run)
    _predict(experiment, spec, run)
    # Pictures come before the result: whoever sees a result sees a complete run.
    _draw(experiment, spec, result, run)
    run.record("result", value=result.model_dump(mode="json"))


@cache
def versions() -> dict[str, str]:
    """What a number must be quoted with."""
    packages = {name: version(name) for name in ("torch", "torchvision", "numpy")}
    return {"python": platform.python_version(), **packages}


def _prepare_torch(order: dict[str, Any], run: RunDirectory) -> None:
    import numpy as np
    import torch

    torch.set_num_threads(order["threads"])
    random.seed(order["seed"])
    np.random.seed(order["seed"] % 2**32)  # noqa: NPY002 - third-party code draws from the global generator
    # Not torch.manual_seed, which loads every kind of device first: a few milliseconds that a job on the CPU can spare.
    torch.default_generator.manual_seed(order["seed"])
    if order["device"] == "cuda":
        torch.cuda.manual_seed_all(order["seed"])
    reserved_bytes = order.get("gpu_memory_bytes")
    if order["device"] == "cuda" and reserved_bytes:
        limit_bytes = allocator_limit(reserved_bytes, run.gpu_constants)
        for index in range(torch.cuda.device_count()):
            total_bytes = torch.cuda.get_device_properties(index).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, limit_bytes / total_bytes), index)


def _predict(experiment: Experiment[Any, Any], spec: Any, run: RunDirectory) -> None:
    """Put the predicted memory beside the measured, unless the run did; a good result never fails for it."""
    if experiment.workload is None or run.is_predicted:
        return
    from experiments.memory.comparing import predict

    try:
        predict(run, experiment.workload(spec))
    except Exception:  # noqa: BLE001 - a prediction is an addition
        traceback.print_exc()


def _draw(experiment: Experiment[Any, Any], spec: Any, result: Result, run: RunDirectory) -> None:
    if experiment.figures is None:
        return
    for name, figure in _load(experiment.figures)(spec, result).items():
        with run.artifact(f"{name}.png") as path:
            figure.savefig(path, format="png", dpi=120)


def _load(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def _let_the_zygote_go() -> None:
    """Close our end of the pipe by which the forkserver sees that its users live: only the worker counts as one.

    The forkserver ends when the worker does, and this process, by its death signal, with the forkserver.
    """
    server: Any = vars(forkserver)["_forkserver"]  # neither it nor its pipe has a public name
    os.close(server._forkserver_alive_fd)
    server._forkserver_alive_fd = None


def _volunteer_for_the_oom_killer() -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE_ADJUSTMENT), encoding="utf-8")
    except OSError as error:
        print(f"oom_score_adj stays as it is: {error}", file=sys.stderr)  # noqa: T201 - goes to output.log


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one spec on this machine with no server: `SPEC.yaml` holds `experiment`, `spec` and perhaps `seed`."""
    parser = argparse.ArgumentParser(prog="python -m experiments.host", description=main.__doc__)
    parser.add_argument("spec", type=Path, help="YAML or JSON file with experiment, spec and seed")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must be empty or new")
    parser.add_argument("--datasets", type=Path, default=Path("datasets"), help="folder of data sets")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded; see worker/zygote.py
    try:
        order = _read_order(chosen)
    except (OSError, ValueError, yaml.YAMLError) as error:
        parser.exit(2, f"{chosen.spec}: {error}\n")
    started = time.perf_counter()
    status = execute(chosen.out)
    elapsed = time.perf_counter() - started
    print(f"{order['experiment']}: exit {status} after {elapsed:.1f} s; see {chosen.out}")  # noqa: T201
    return status


def _read_order(chosen: argparse.Namespace) -> dict[str, Any]:
    given = yaml.safe_load(chosen.spec.read_text(encoding="utf-8"))
    if not isinstance(given, dict) or not given.keys() <= {"experiment", "spec", "seed"}:
        raise ValueError("expected a mapping with the keys experiment, spec and seed")
    slug = str(given.get("experiment"))
    if slug not in experiments():
        raise ValueError(f"unknown experiment {slug!r}; known: {', '.join(experiments())}")
    try:
        spec = experiments()[slug].spec.model_validate(given.get("spec") or {})
    except ValidationError as error:
        raise ValueError(str(error)) from None
    chosen.out.mkdir(parents=True, exist_ok=True)
    if any(chosen.out.iterdir()):
        raise ValueError(f"{chosen.out} is not empty")
    order = {
        "experiment": slug,
        "spec": spec.model_dump(mode="json"),
        "seed": int(given.get("seed") or 0),
        "device": _choose_device(chosen.device, slug),
        "threads": chosen.threads,
        "datasets_folder": str(chosen.datasets.resolve()),
        "cache_folder": str((chosen.out.parent / ".cache").resolve()),
    }
    (chosen.out / SPEC_FILE).write_text(json.dumps(order, indent=1), encoding="utf-8")
    return order


def _choose_device(asked: str, slug: str) -> str:
    if asked != "auto":
        return asked
    if experiments()[slug].gpu == "none":
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    sys.exit(main())
