"""The process of a notebook's kernel: a fork of the host, so that what a spare has loaded is loaded in the kernel too.

It is forked before the host has threads, and waits until nbclient wants a kernel.
"""

import faulthandler
import json
import os
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from os import _exit as exit_now  # whatever the program makes of the module
from pathlib import Path
from typing import Any, NoReturn

import zmq
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from experiments.program_host.paths import stand_behind
from experiments.program_host.preparing import prepare
from experiments.program_host.python_program import default_signals, finish
from experiments.program_host.session import LOG, Session, send
from gpulab.run import stopping

MAX_ORDER_BYTES = 2**16


class ForkedKernel:
    """The part of `subprocess.Popen` that jupyter_client uses of a kernel's process."""

    stdin = stdout = stderr = None

    def __init__(self, session: Session) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        theirs, self._order = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._order)
            _be_kernel(theirs, session)
        os.close(theirs)

    def begin(self, connection_file: str, folder: str) -> None:
        """Let it become a kernel."""
        os.write(self._order, json.dumps([connection_file, folder]).encode())
        self._close()

    def end(self) -> None:
        """Kill it if it still runs. One that was never told to begin ends so too."""
        self._close()
        if self.poll() is None:
            self.kill()
            self.wait()

    def poll(self) -> int | None:
        return self._reap(os.WNOHANG)

    def wait(self) -> int | None:
        return self._reap(0)

    def _reap(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            send(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _close(self) -> None:
        if self._order >= 0:
            os.close(self._order)
            self._order = -1


class ForkProvisioner(LocalProvisioner):
    """Gives jupyter_client a kernel that was forked before."""

    def __init__(self, kernel: ForkedKernel, connection_file: str, **traits: Any) -> None:
        super().__init__(**traits)
        self._kernel = kernel
        self._connection_file = connection_file

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """What `cmd` would start is forked already."""
        del cmd
        self._kernel.begin(self._connection_file, str(kwargs["cwd"]))
        self.process = self._kernel  # type: ignore[assignment]
        self.pid = self.pgid = self._kernel.pid
        return self.connection_info


class WholeOutputKernel(IPKernelApp):
    """Keeps every output until it is read: of more than 1,000 that wait, the socket would drop some without a word."""

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        context.setsockopt(zmq.SNDHWM, 0)
        super().init_iopub(context)  # type: ignore[no-untyped-call]


def _be_kernel(order: int, session: Session) -> NoReturn:
    status = 1
    try:
        os.setsid()
        default_signals()
        said = os.read(order, MAX_ORDER_BYTES)
        os.close(order)
        if said:
            connection_file, folder = json.loads(said)
            _serve(connection_file, folder, session)
        status = 0
    except BaseException:  # noqa: BLE001 - nothing of the host may run in this process
        with suppress(OSError):
            traceback.print_exc()
    finally:
        exit_now(status)


def _serve(connection_file: str, folder: str, session: Session) -> None:
    os.chdir(folder)
    log = os.dup(LOG)  # the kernel takes the descriptor of errors for itself
    sys.argv = ["ipykernel_launcher", "-f", connection_file]
    kernel = WholeOutputKernel.instance(parent_handle=os.getppid())
    kernel.initialize(sys.argv[1:])  # type: ignore[no-untyped-call]
    faulthandler.enable(log)
    warnings.filterwarnings("ignore", message="To exit: use")  # IPython's, for who sits before it
    stopping.listen()
    # After the kernel's own start, which draws random numbers.
    prepare(session.order, session.run)
    stand_behind(Path.cwd())
    kernel.start()  # type: ignore[no-untyped-call]
    finish(0)
