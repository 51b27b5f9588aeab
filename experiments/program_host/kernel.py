"""The process of a notebook's kernel: prepared as a script's process, then ipykernel. Started as a file by its path."""

import os
import sys
from pathlib import Path


def main() -> None:
    # The folder of this file stands first, and would hide modules of the same names.
    sys.path[0] = str(Path(__file__).parents[2])
    from experiments.hosting.run_directory import RunDirectory
    from experiments.hosting.wire import RunOrder
    from experiments.program_host.paths import stand_behind
    from experiments.program_host.preparing import prepare
    from gpulab.run import stopping

    folder = Path(os.environ["GPULAB_RUN_DIRECTORY"])
    order = RunOrder.read(folder)
    from ipykernel.kernelapp import IPKernelApp

    kernel = IPKernelApp.instance()
    kernel.initialize()  # type: ignore[no-untyped-call]
    stopping.listen()
    # After the kernel's own start, which draws random numbers.
    prepare(order, RunDirectory(folder, seed=order.seed, device=order.device, gpu_constants=order.gpu_constants))
    stand_behind(Path.cwd())
    kernel.start()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
