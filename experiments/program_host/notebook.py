"""Runs a notebook from its first cell to its last by nbclient, in a kernel that is prepared as a script's process is.

Parameters follow papermill's convention: they are assigned in a new cell after the first cell tagged `parameters`.
"""

import json
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import nbformat
import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from experiments.catalog.notebook.spec import NotebookSpec
from experiments.program_host.collecting.tensorboard import file_name
from experiments.program_host.hints import with_hint
from experiments.program_host.kernel import ForkedKernel, ForkProvisioner
from experiments.program_host.session import ANSI, Ended, Session, died, ended_with
from gpulab.notebook_parameters import INJECTED_TAG, TAG, doubts, tags_of
from gpulab.run.files import RESULT_FILE

MAX_NOTEBOOK_BYTES = 64 * 2**20
KERNEL_START_SECONDS = 60
LAST_OUTPUTS_SECONDS = 86_400
"""How long the last outputs of a cell may take to be read: thousands take many seconds on a busy machine, and nbclient
drops the rest without a word. The run's time limit and the end of the kernel are noticed meanwhile."""
MAX_TRACEBACK_CHARACTERS = 20_000
INTERRUPTED_STATUS = 130
NOTED = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
"""What a notebook says of its kernel, where it says anything, and the least of it."""
GOOD_EXITS = frozenset({"", "0", "None"})
OUT_OF_MEMORY = frozenset({"OutOfMemoryError", "MemoryError"})
LAST_VALUE = f"__import__('gpulab.run.last_value').run.last_value.keep(_, {RESULT_FILE!r})"


class NotebookUnreadable(Exception):  # noqa: N818 - the name states the fact
    """A file that is no notebook for Python; its text is the reason."""


def run(spec: NotebookSpec, session: Session) -> Ended:
    """Run its cells. The notebook becomes an artifact with whatever outputs it has got by then."""
    try:
        notebook = read(Path(spec.notebook))
    except NotebookUnreadable as error:
        return Ended(2, {"message": f"{spec.notebook}: {error}"})
    for doubt in doubts(notebook.cells, spec.parameters):
        print(f"note: {doubt}", flush=True)  # noqa: T201 - goes to the log
        session.run.record("warning", message=doubt)
    inject(notebook, spec.parameters)
    kernel = ForkedKernel(session)  # before the host has threads
    try:
        with _collecting(session):
            ended = _Cells(notebook, spec, session, kernel).run()
    finally:
        kernel.end()
    for cell in notebook.cells:
        merge_streams(cell)
    with session.run.artifact(artifact_name(spec.notebook)) as path:
        path.write_text(nbformat.writes(notebook), encoding="utf-8")  # type: ignore[no-untyped-call]
    return ended


def artifact_name(notebook: str) -> str:
    """`week1/lesson.ipynb` becomes `week1-lesson.ipynb`."""
    return f"{file_name(notebook.removesuffix('.ipynb'))[:100]}.ipynb"


def read(path: Path) -> NotebookNode:
    """A notebook in nbformat 4. Raises `NotebookUnreadable`."""
    try:
        if path.stat().st_size > MAX_NOTEBOOK_BYTES:
            raise NotebookUnreadable(f"it has more than {MAX_NOTEBOOK_BYTES} bytes")
        content = json.loads(path.read_text("utf-8-sig"))
        if not isinstance(content, dict):
            raise NotebookUnreadable("it is not a notebook: its JSON is not an object")
        notebook: NotebookNode = nbformat.reads(json.dumps(completed(content)), as_version=4)  # type: ignore[no-untyped-call]
        # Tools write fields of a newer form, such as ids of cells, into a notebook that says it has an older one.
        nbformat.validate(notebook, relax_add_props=True)
    except FileNotFoundError:
        raise NotebookUnreadable("the program has no such file") from None
    except NotebookUnreadable:
        raise
    # What nbformat raises of a file that is no notebook is no closed list.
    except Exception as error:
        raise NotebookUnreadable(f"it is not a notebook: {str(error).partition(chr(10))[0][:300]}") from error
    language = _language(notebook)
    if not language.lower().startswith(("python", "ipython")):
        raise NotebookUnreadable(f"its language is {language}; only Python runs here")
    return notebook


def completed(content: dict[str, Any]) -> dict[str, Any]:
    """With what tools leave out, and every editor does without: metadata, outputs, counts."""
    if content.get("nbformat", 4) != 4 or not isinstance(content.get("cells"), list):
        return content
    noted = content.get("metadata")
    metadata = dict(noted) if isinstance(noted, dict) else {}
    for name, needed in NOTED.items():
        found = metadata.pop(name, None)
        if isinstance(found, dict):
            metadata[name] = needed | found
    cells = [_completed_cell(cell) if isinstance(cell, dict) else cell for cell in content["cells"]]
    return {"nbformat": 4, "nbformat_minor": 4, **content, "metadata": metadata, "cells": cells}


def _completed_cell(cell: dict[str, Any]) -> dict[str, Any]:
    metadata = cell.get("metadata")
    found = {**cell, "metadata": metadata if isinstance(metadata, dict) else {}}
    if cell.get("cell_type") == "code":
        # What it showed before is not kept: each cell runs anew.
        found |= {"outputs": [], "execution_count": None}
    return found


def _language(notebook: NotebookNode) -> str:
    """As its kernel or its editor noted it; one without a word of it is taken for Python."""
    noted = (
        notebook.metadata.get("kernelspec", {}).get("language"),
        notebook.metadata.get("language_info", {}).get("name"),
    )
    return str(next(filter(None, noted), "python"))[:100]


def inject(notebook: NotebookNode, parameters: Mapping[str, Any]) -> None:
    """Assign the parameters in a new cell; a cell that was injected before is replaced."""
    if not parameters:
        return
    lines = ["# Parameters", *(f"{name} = {value!r}" for name, value in parameters.items())]
    cell = _cell("\n".join(lines), tags=[INJECTED_TAG])
    notebook.cells = [each for each in notebook.cells if INJECTED_TAG not in tags_of(each)]
    tagged = [place for place, each in enumerate(notebook.cells) if TAG in tags_of(each)]
    notebook.cells.insert(tagged[0] + 1 if tagged else 0, cell)


def merge_streams(cell: NotebookNode) -> None:
    """What a cell printed piece by piece becomes one output, and of a progress bar only its last state is left."""
    outputs: list[NotebookNode] = []
    for (kind, _), group in groupby(cell.get("outputs", ()), lambda each: (each.output_type, each.get("name"))):
        first, *more = group
        if kind == "stream":
            first.text = _last_states("".join(each.text for each in (first, *more)))
            more = []
        outputs += [first, *more]
    if "outputs" in cell:
        cell.outputs = outputs


def _last_states(text: str) -> str:
    """Each line without what a carriage return wrote over."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _cell(source: str, **metadata: Any) -> NotebookNode:
    cell: NotebookNode = nbformat.v4.new_code_cell(source, metadata=metadata)  # type: ignore[no-untyped-call]
    return cell


class _Client(NotebookClient):
    """Prints what the cells print, so that the log is live."""

    has_left = False
    """Whether a cell called `exit()`."""

    def __init__(self, notebook: NotebookNode, **traits: Any) -> None:
        super().__init__(notebook, on_cell_executed=self._executed, **traits)

    def _executed(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        del cell, cell_index
        payload = execute_reply["content"].get("payload", ())
        self.has_left = any(each.get("source") == "ask_exit" for each in payload)

    def output(self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        if msg["msg_type"] == "stream":
            print(msg["content"]["text"], end="", flush=True)  # noqa: T201 - goes to the log
        return super().output(outs, msg, display_id, cell_index)


class _Cells:
    """The cells of a notebook, one after the other."""

    def __init__(self, notebook: NotebookNode, spec: NotebookSpec, session: Session, kernel: ForkedKernel) -> None:
        self._kernel = kernel
        self._notebook = notebook
        self._spec = spec
        self._session = session
        self._code = [place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"]

    def run(self) -> Ended:
        folder = Path(self._spec.notebook).resolve().parent
        with tempfile.TemporaryDirectory(prefix="kernel-") as sockets:
            manager = _kernel_manager(Path(sockets), self._kernel)
            client = _Client(
                self._notebook,
                km=manager,
                timeout=self._spec.cell_timeout_seconds,
                startup_timeout=KERNEL_START_SECONDS,
                iopub_timeout=LAST_OUTPUTS_SECONDS,
                resources={"metadata": {"path": str(folder)}},
            )
            try:
                with client.setup_kernel():
                    return self._each(client)
            except (DeadKernelError, RuntimeError) as error:
                return self._ended(Ended(1, {"message": f"the notebook's kernel did not start: {error}; see the log"}))
            finally:
                # What the kernel writes as it ends, such as the last of an event file, is collected after this.
                run_sync(manager.shutdown_kernel)()

    def _each(self, client: _Client) -> Ended:
        self._session.pass_on = lambda number: _signal(client, number)
        for done, place in enumerate(self._code):
            if self._session.is_stopping:
                return self._ended(Ended(0))
            which = f"cell {done + 1} of {len(self._code)}"
            print(f"--- {which}", flush=True)  # noqa: T201 - goes to the log
            self._session.run.progress(done / len(self._code), which)
            failed = self._failed(client, place, which)
            if failed is not None or client.has_left:
                self._note_exit(client, done, which)
                return self._ended(failed or Ended(0))
        self._keep_last_value(client)
        return Ended(0)

    def _failed(self, client: _Client, place: int, which: str) -> Ended | None:
        """Run one cell; how the notebook ends if it failed."""
        try:
            client.execute_cell(self._notebook.cells[place], place)
        except CellExecutionError as error:
            if error.ename == "SystemExit" and error.evalue in GOOD_EXITS:
                client.has_left = True
                return None
            return Ended(1, _failure(error, which, has_gpu=self._session.order.device != "cpu"))
        except CellTimeoutError:
            return Ended(1, {"message": f"{which} took longer than {self._spec.cell_timeout_seconds} seconds"})
        except DeadKernelError:
            self._kernel.poll()
            return Ended(1, died(self._kernel.returncode or 0, f"{which}: the kernel"))
        return None

    def _note_exit(self, client: _Client, done: int, which: str) -> None:
        """`exit()` ends a notebook well, as it does a script."""
        if client.has_left and done + 1 < len(self._code):
            words = f"the notebook ended itself in {which}: the cells after it did not run"
            self._session.run.record("warning", message=words)

    def _ended(self, ended: Ended) -> Ended:
        return Ended(INTERRUPTED_STATUS, has_stopped=True) if self._session.is_stopping else ended

    def _keep_last_value(self, client: _Client) -> None:
        """The last cell's value is the result if it can be one and the notebook gave none itself."""
        last = self._notebook.cells[self._code[-1]] if self._code else None
        if last is None or not any(each.output_type == "execute_result" for each in last.outputs):
            return
        self._notebook.cells.append(_cell(LAST_VALUE))
        with suppress(CellExecutionError, CellTimeoutError, DeadKernelError):
            client.execute_cell(self._notebook.cells[-1], len(self._notebook.cells) - 1, store_history=False)
        self._notebook.cells.pop()


def _kernel_manager(sockets: Path, kernel: ForkedKernel) -> AsyncKernelManager:
    """A kernel that talks over sockets in its own folder: in the sandbox there is no network."""
    manager = AsyncKernelManager(
        transport="ipc", ip=str(sockets / "s"), connection_file=str(sockets / "connection.json")
    )
    python = KernelSpec(argv=[sys.executable], display_name="Python", language="python")
    manager._kernel_spec = python
    manager.context.setsockopt(zmq.RCVHWM, 0)
    manager.provisioner = ForkProvisioner(kernel, manager.connection_file, kernel_spec=python, parent=manager)
    return manager


def _signal(client: _Client, number: int) -> None:
    provisioner = client.km and client.km.provisioner
    process = getattr(provisioner, "process", None)
    if process is not None:
        with suppress(ProcessLookupError):
            process.send_signal(number)


def _failure(error: CellExecutionError, which: str, *, has_gpu: bool) -> dict[str, Any]:
    """The fields of the last record: which cell, what, and where."""
    words = str(error.evalue)
    # Of an exit, what was printed before it mostly says why.
    left = _exit_words(words, which) if error.ename == "SystemExit" else None
    trace = ANSI.sub("", str(error))[-MAX_TRACEBACK_CHARACTERS:]
    print(trace, file=sys.stderr, flush=True)  # noqa: T201 - goes to the log
    if left is not None:
        return {"message": left[:1000], "traceback": trace}
    cause = "out_of_memory" if error.ename in OUT_OF_MEMORY or "DefaultCPUAllocator" in words else "error"
    message = f"{error.ename}: {words.partition(chr(10))[0]}"[:1000]
    if cause == "error":
        message = with_hint(message, f"{error.ename}: {words}"[:MAX_TRACEBACK_CHARACTERS], has_gpu=has_gpu)
    return {"message": f"{which} failed: {message}"[:1000], "traceback": trace, "cause": cause}


def _exit_words(said: str, which: str) -> str:
    if said.lstrip("-").isdecimal():
        return ended_with(int(said), f"{which}: the notebook")
    return f"{which}: the notebook ended: {said}"


@contextmanager
def _collecting(session: Session) -> Iterator[None]:
    """The kernel is another process, so a thread of ours disturbs nothing."""
    over = threading.Event()

    def collect() -> None:
        while not over.wait(0.5):
            session.collector.turn()

    with ThreadPoolExecutor(1, "collector") as pool:
        collecting = pool.submit(collect)
        try:
            yield
        finally:
            over.set()
    collecting.result()
