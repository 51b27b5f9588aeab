"""Runs a notebook from its first cell to its last by nbclient, in a kernel that is prepared as a script's process is.

Parameters follow papermill's convention: they are assigned in a new cell after the first cell tagged `parameters`.
"""

import json
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from experiments.catalog.notebook.spec import NotebookSpec
from experiments.program_host.collecting.tensorboard import file_name
from experiments.program_host.python_program import missing_module
from experiments.program_host.session import Ended, Session
from gpulab.run.files import RESULT_FILE

KERNEL = Path(__file__).with_name("kernel.py")
MAX_NOTEBOOK_BYTES = 64 * 2**20
KERNEL_START_SECONDS = 60
ANSI = re.compile(r"\x1b\[[0-9;]*m")
MAX_TRACEBACK_CHARACTERS = 20_000
INTERRUPTED_STATUS = 130
TAG = "injected-parameters"
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
    inject(notebook, spec.parameters)
    cells = _Cells(notebook, spec, session)
    with _collecting(session):
        ended = cells.run()
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
        notebook: NotebookNode = nbformat.reads(json.dumps(content), as_version=4)  # type: ignore[no-untyped-call]
        nbformat.validate(notebook)
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
    cell = _cell("\n".join(lines), tags=[TAG])
    notebook.cells = [each for each in notebook.cells if TAG not in _tags(each)]
    tagged = [place for place, each in enumerate(notebook.cells) if "parameters" in _tags(each)]
    notebook.cells.insert(tagged[0] + 1 if tagged else 0, cell)


def _cell(source: str, **metadata: Any) -> NotebookNode:
    cell: NotebookNode = nbformat.v4.new_code_cell(source, metadata=metadata)  # type: ignore[no-untyped-call]
    return cell


def _tags(cell: NotebookNode) -> list[str]:
    tags = cell.metadata.get("tags", [])
    return tags if isinstance(tags, list) else []


class _Client(NotebookClient):
    """Prints what the cells print, so that the log is live."""

    def output(self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        if msg["msg_type"] == "stream":
            print(msg["content"]["text"], end="", flush=True)  # noqa: T201 - goes to the log
        return super().output(outs, msg, display_id, cell_index)


class _Cells:
    """The cells of a notebook, one after the other."""

    def __init__(self, notebook: NotebookNode, spec: NotebookSpec, session: Session) -> None:
        self._notebook = notebook
        self._spec = spec
        self._session = session
        self._code = [place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"]

    def run(self) -> Ended:
        folder = Path(self._spec.notebook).resolve().parent
        with tempfile.TemporaryDirectory(prefix="kernel-") as sockets:
            manager = _kernel_manager(Path(sockets))
            client = _Client(
                self._notebook,
                km=manager,
                timeout=self._spec.cell_timeout_seconds,
                startup_timeout=KERNEL_START_SECONDS,
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
            print(f"--- cell {done + 1} of {len(self._code)}", flush=True)  # noqa: T201 - goes to the log
            self._session.run.progress(done / len(self._code), f"cell {done + 1} of {len(self._code)}")
            try:
                client.execute_cell(self._notebook.cells[place], place)
            except CellExecutionError as error:
                return self._ended(Ended(1, _failure(error, done + 1, len(self._code))))
            except CellTimeoutError:
                seconds = self._spec.cell_timeout_seconds
                message = f"cell {done + 1} of {len(self._code)} took longer than {seconds} seconds"
                return self._ended(Ended(1, {"message": message}))
            except DeadKernelError:
                message = f"the kernel died in cell {done + 1} of {len(self._code)}; see the log"
                return self._ended(Ended(1, {"message": message}))
        self._keep_last_value(client)
        return Ended(0)

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


def _kernel_manager(sockets: Path) -> AsyncKernelManager:
    """A kernel that talks over sockets in its own folder: in the sandbox there is no network."""
    manager = AsyncKernelManager(
        transport="ipc", ip=str(sockets / "s"), connection_file=str(sockets / "connection.json")
    )
    manager._kernel_spec = KernelSpec(
        argv=[sys.executable, str(KERNEL), "-f", "{connection_file}"], display_name="Python", language="python"
    )
    return manager


def _signal(client: _Client, number: int) -> None:
    provisioner = client.km and client.km.provisioner
    process = getattr(provisioner, "process", None)
    if process is not None:
        with suppress(ProcessLookupError):
            process.send_signal(number)


def _failure(error: CellExecutionError, number: int, count: int) -> dict[str, Any]:
    """The fields of the last record: which cell, what, and where."""
    message = f"cell {number} of {count} failed: {error.ename}: {str(error.evalue).partition(chr(10))[0]}"[:1000]
    missing = re.match(r"No module named '([^']+)'", str(error.evalue))
    if error.ename == "ModuleNotFoundError" and missing:
        message = f"cell {number} of {count} failed: {missing_module(missing[1])}"
    trace = ANSI.sub("", str(error))[-MAX_TRACEBACK_CHARACTERS:]
    print(trace, file=sys.stderr, flush=True)  # noqa: T201 - goes to the log
    cause = "out_of_memory" if error.ename in OUT_OF_MEMORY or "DefaultCPUAllocator" in str(error.evalue) else "error"
    return {"message": message, "traceback": trace, "cause": cause}


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
