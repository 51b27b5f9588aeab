"""Runs a program and reports the memory of its training steps: the inside of `emulator.measure`.

python witness.py REPORT STEPS zeros|ones train.py ARGUMENTS...
python witness.py REPORT STEPS zeros|ones -m package ARGUMENTS...

It is a script by itself, so that the program finds neither a package nor an argument of ours. It never imports torch,
and waits for the program to do so: what the program sets before that import must count.
"""

import functools
import importlib.abc
import importlib.util
import json
import os
import platform
import runpy
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from multiprocessing import active_children
from pathlib import Path
from traceback import print_exception, walk_tb
from types import CodeType, FrameType, ModuleType, TracebackType
from typing import Any

STANDARD_LIBRARY = str(Path(os.__file__).parent)
OTHERS = ("<", STANDARD_LIBRARY, str(Path(__file__).parents[1] / "gpulab") + os.sep)
"""Also what a program reports with: the line that matters is the one that calls it."""
LAST_PATHS_VARIABLE = "GPULAB_LAST_PATHS"  # folders with modules that are nowhere else
MAX_PLACES, MAX_REASON = 20, 2000
MAX_ROUNDS = 10
"""An optimizer that has taken this many times the steps wanted no longer waits for one that takes none."""
OF_VALUES = (
    *("nonzero", "masked_select", "bincount", "repeat_interleave.Tensor"),
    *("_unique2", "unique_dim", "unique_consecutive", "unique_dim_consecutive"),
)
"""Operators whose result has a shape that depends on values: on the card there are none."""
OWN_READS = ("amp" + os.sep, str(Path("nn/modules/rnn.py")))
"""Parts of torch that read a value for themselves: a gradient scaler, and the seed of dropout."""


class Report:
    """A file that is replaced whole, so that it can be read after a kill at any moment."""

    def __init__(self, path: Path, steps: int) -> None:
        self.path, self.wanted, self.owner = path, steps, os.getpid()
        self.content: dict[str, Any] = {
            "ended": None, "reason": None, "steps": [], "rounds": 0, "idle": [], "last": None, "out_of_memory": None,
            "on_gpu": False, "used_gpu": False, "reads": [], "tries_plans": False,
            "torch": None, "python": platform.python_version(),
        }  # fmt: skip

    def write(self) -> None:
        if os.getpid() == self.owner:
            part = self.path.with_suffix(".part")
            part.write_text(json.dumps(self.content))
            part.replace(self.path)

    def end(self, how: str, reason: str | None = None) -> None:
        """The last word: nothing that comes later counts."""
        if self.content["ended"] is None:
            self.content |= {"ended": how, "reason": reason and reason[:MAX_REASON]}
            self.write()

    def stop(self, how: str, reason: str | None = None) -> None:
        """End the program here, whatever loop it is in: no `except` or `finally` of it writes zeros anywhere."""
        if os.getpid() != self.owner:
            os._exit(1)
        self.end(how, reason)
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):  # the program may have closed it
                stream.flush()
        for child in active_children():
            child.kill()
        os._exit(0)


class Meter:
    """The allocator's peaks between two moments, by phase. The program's own view of them stays as it would be."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.phase = "forward"
        self.threads: set[int] = set()
        self.read: Callable[[int], Any] = torch._C._cuda_memoryStats
        self.reset: Callable[[int], None] = torch._C._cuda_resetPeakMemoryStats
        self.program = {"allocated_bytes": 0, "reserved_bytes": 0}
        self.volume = 0
        """Bytes of every allocation so far: two runs that allocate alike agree in it, whatever their peaks are."""
        self.start()
        torch._C._cuda_memoryStats = self._stats_for_the_program
        torch._C._cuda_resetPeakMemoryStats = self._reset_by_the_program

    def start(self) -> None:
        self.allocated = self.reserved = 0
        self.peak_phase: str | None = None

    def observe(self) -> None:
        self.threads.add(threading.get_ident())
        if not self.torch.cuda.is_initialized():
            return
        stats = self.read(0)
        self.volume = stats["allocated_bytes"]["all"]["allocated"]
        peaks = {key: stats[key]["all"]["peak"] for key in self.program}
        self.program = {key: max(peak, self.program[key]) for key, peak in peaks.items()}
        if peaks["allocated_bytes"] > self.allocated:
            self.allocated, self.peak_phase = peaks["allocated_bytes"], self.phase
        self.reserved = max(self.reserved, peaks["reserved_bytes"])
        self.reset(0)

    def enter(self, phase: str) -> None:
        self.observe()
        self.phase = phase

    @contextmanager
    def within(self, phase: str) -> Iterator[None]:
        outer = self.phase
        self.enter(phase)
        try:
            yield
        finally:
            self.enter(outer)

    def reading(self) -> dict[str, Any]:
        phase = self.known(self.peak_phase)
        return {"allocated": self.allocated, "reserved": self.reserved, "phase": phase, "volume": self.volume}

    def known(self, phase: str | None) -> str | None:
        return phase if len(self.threads) <= 1 else None

    def _stats_for_the_program(self, device: int) -> Any:
        stats = self.read(device)
        for key, peak in self.program.items():
            of_all = stats[key]["all"]
            of_all["peak"] = max(of_all["peak"], peak)
        return stats

    def _reset_by_the_program(self, device: int) -> None:
        self.observe()
        self.reset(device)
        self.program = dict.fromkeys(self.program, 0)


class Witness:
    """Watches the steps of every optimizer, and stops the program when it has seen enough."""

    def __init__(self, torch: Any, report: Report, ones: bool) -> None:
        self.torch, self.report, self.ones = torch, report, ones
        self.folder = str(Path(torch.__file__).parent) + os.sep
        self.meter = Meter(torch)
        self.taken: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        report.content["torch"] = torch.__version__
        report.write()
        self._watch_optimizers()
        self._watch_backward()
        self._watch_values()
        torch._C._cuda_attach_out_of_memory_observer(self._ran_out)

    def note_what_is_open(self) -> None:
        """What has happened since the last step."""
        self.meter.observe()
        self.report.content |= {"last": self.meter.reading(), "used_gpu": self.torch.cuda.is_initialized()}

    def _watch_optimizers(self) -> None:
        module: Any = sys.modules["torch.optim.optimizer"]
        module.register_optimizer_step_pre_hook(lambda *_: self.meter.enter("step"))
        module.register_optimizer_step_post_hook(lambda optimizer, *_: self._stepped(optimizer))
        construct = module.Optimizer.__init__

        @functools.wraps(construct)
        def watched(optimizer: Any, *arguments: Any, **options: Any) -> None:
            construct(optimizer, *arguments, **options)
            self.taken.setdefault(optimizer, 0)

        module.Optimizer.__init__ = watched

    def _stepped(self, optimizer: Any) -> None:
        self.meter.enter("forward")
        self.taken[optimizer] = self.taken.get(optimizer, 0) + 1
        found, wanted = self.report.content, self.report.wanted
        found["steps"].append({"optimizer": type(optimizer).__name__, **self.meter.reading()})
        found["rounds"] = max(self.taken.values())
        found["idle"] = sorted(type(each).__name__ for each, count in self.taken.items() if count < wanted)
        found["used_gpu"] = self.torch.cuda.is_initialized()
        found["tries_plans"] |= self.torch.backends.cudnn.benchmark
        found["on_gpu"] = any(p.is_cuda for group in optimizer.param_groups for p in group["params"])
        self.meter.start()
        if not found["idle"] or found["rounds"] >= MAX_ROUNDS * wanted:
            self.report.stop("steps")
        self.report.write()

    def _watch_backward(self) -> None:
        autograd = self.torch.autograd
        for name in ("backward", "grad"):
            setattr(autograd, name, self._in_backward(getattr(autograd, name)))

    def _in_backward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def watched(*arguments: Any, **options: Any) -> Any:
            with self.meter.within("backward"):
                return function(*arguments, **options)

        return watched

    def _watch_values(self) -> None:
        torch = self.torch
        self.library = torch.library.Library("aten", "IMPL")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.library.impl("_local_scalar_dense", self._scalar, "CUDA", allow_override=True)
            for name in OF_VALUES:
                self.library.impl(name, functools.partial(self._shape_of_values, name), "CUDA", allow_override=True)
        for name in ("cpu", "to", "tolist"):
            setattr(torch.Tensor, name, self._copied(getattr(torch.Tensor, name), name == "tolist"))

    def _scalar(self, tensor: Any) -> bool | int | float | complex:
        value = int(self._noted() and self.ones)
        if tensor.dtype is self.torch.bool:
            return bool(value)
        if tensor.is_complex():
            return complex(value)
        return float(value) if tensor.is_floating_point() else value

    def _shape_of_values(self, name: str, tensor: Any, *_: Any, **__: Any) -> Any:
        if self._is_below("_tensor_str.py"):  # a tensor is printed: the program never sees this result
            return tensor.new_empty(0)
        where = f"{name.partition('.')[0]} at {self._place() or 'the backward pass'}"
        return self.report.stop("data", f"the result of {where} has a shape that depends on values")

    def _copied(self, function: Callable[..., Any], to_list: bool) -> Callable[..., Any]:
        @functools.wraps(function)
        def watched(tensor: Any, *arguments: Any, **options: Any) -> Any:
            if to_list and tensor.is_cuda:
                return tensor.cpu().tolist()
            copy = function(tensor, *arguments, **options)
            if not to_list and tensor.is_cuda and copy.device.type == "cpu" and self._noted() and self.ones:
                copy.data.fill_(1)
            return copy

        return watched

    def _noted(self) -> bool:
        """Whether the program's own code reads values of the card here."""
        if any(map(self._is_below, OWN_READS)):
            return False
        place, places = self._place() or "an unknown place", self.report.content["reads"]
        if place not in places and len(places) < MAX_PLACES:
            places.append(place)
        return True

    def _is_below(self, part: str) -> bool:
        """Whether this part of torch is what the program called."""
        path = self.folder + part
        return any(frame.f_code.co_filename.startswith(path) for frame in self._frames() if frame is not None)

    def _place(self) -> str | None:
        *_, frame = self._frames()
        return frame and f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"

    def _frames(self) -> Iterator[FrameType | None]:
        """From here to the innermost line of the program, or to None where there is none."""
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            yield frame
            if _is_own(frame.f_code.co_filename):
                return
            frame = frame.f_back
        yield None

    def _ran_out(self, *_: Any) -> None:
        phase, layer = self.meter.known(self.meter.phase), self._layer(sys._getframe())
        self.report.content["out_of_memory"] = {"message": None, "phase": phase, "layer": layer}
        self.report.content["on_gpu"] = False

    def _layer(self, frame: FrameType | None) -> str | None:
        """The innermost module that runs, as the outermost one calls it; none on autograd's own threads."""
        modules = []
        while frame is not None:
            found = frame.f_locals.get("self") if "self" in frame.f_code.co_varnames else None
            if isinstance(found, self.torch.nn.Module):
                modules.append(found)
            frame = frame.f_back
        if not modules:
            return None
        inner, kind = modules[0], type(modules[0]).__name__
        names = (name for name, module in modules[-1].named_modules() if module is inner and name)
        return next((f"{name} ({kind})" for name in names), kind)


class AfterImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Calls a function with a module as soon as the program has imported it."""

    def __init__(self, name: str, then: Callable[[Any], None]) -> None:
        self.name = name
        self.then = then
        self.loader: Any = None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None:
            self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.then(module)

    def get_code(self, fullname: str) -> CodeType | None:
        return self.loader.get_code(fullname)  # type: ignore[no-any-return]


def main(path: str, steps: str, values: str, *program: str) -> int:
    report = Report(Path(path), int(steps))
    witnesses: list[Witness] = []
    sys.meta_path.insert(
        0, AfterImport("torch", lambda torch: witnesses.append(Witness(torch, report, values == "ones")))
    )
    how, reason, code = "exit", None, 0
    try:
        _run(program)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)  # noqa: T201 - as Python does
    except BaseException as error:  # noqa: BLE001 - a program's own error of any kind is the answer
        how, reason, code = "error", _reason(error), 1
        print_exception(error.with_traceback(_of_program(error.__traceback__)))
        _note_out_of_memory(error, report)
    for witness in witnesses:
        witness.note_what_is_open()
    report.content["code"] = code
    report.end(how, reason)
    return code


def _run(program: Sequence[str]) -> dict[str, Any]:
    sys.path += filter(None, os.environ.get(LAST_PATHS_VARIABLE, "").split(os.pathsep))
    if program[0] == "-m":
        sys.argv = [program[1], *program[2:]]
        sys.path[0] = str(Path.cwd())
        return runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    sys.argv = list(program)
    sys.path[0] = str(Path(program[0]).resolve().parent)
    return runpy.run_path(str(Path(program[0]).absolute()), run_name="__main__")


def _note_out_of_memory(error: BaseException, report: Report) -> None:
    """Also where the program has wrapped the error in its own."""
    seen: BaseException | None = error
    while seen is not None:
        if type(seen).__name__ == "OutOfMemoryError":
            noted = report.content["out_of_memory"] or {"phase": None, "layer": None}
            report.content["out_of_memory"] = noted | {"message": str(seen)[:MAX_REASON]}
            return
        seen = seen.__cause__ or seen.__context__


def _reason(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}".rstrip(": ").splitlines()
    place = _place_of(error.__traceback__)
    return " ".join(text[:3])[:500] + (f" ({place})" if place else "")


def _of_program(trace: TracebackType | None) -> TracebackType | None:
    """Without our own lines, as the program alone would show it."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((__file__, "<frozen runpy")):
        trace = trace.tb_next
    return trace


def _place_of(trace: TracebackType | None) -> str | None:
    """The last line of the program's own code."""
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(trace)]
    own = [f"{Path(file).name}:{line}" for file, line in frames if _is_own(file)]
    return own[-1] if own else None


def _is_own(file: str) -> bool:
    """Whether it is the program's own code, neither ours nor that of a library."""
    return file != __file__ and not file.startswith(OTHERS) and "-packages" + os.sep not in file


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
