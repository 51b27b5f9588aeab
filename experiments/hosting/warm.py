"""What the zygote loads before any job arrives. Importing it must not initialise CUDA nor start a thread."""

import contextlib
import gc
from importlib import import_module

import matplotlib as mpl
import numpy  # noqa: ICN001, F401 - loaded for its side effect
import torch  # noqa: F401 - same
import torchvision  # noqa: F401 - same

from experiments.hosting.pages import gather_into_huge_pages, let_go_of_files
from experiments.memory import processes, warm
from experiments.registry import runnable
from experiments.versions import versions

mpl.use("Agg")
import_module("matplotlib.figure")
import_module("matplotlib.backends.backend_agg")
versions()
for _experiment in runnable().values():
    for _reference in filter(None, (_experiment.run, _experiment.figures)):
        # A module that cannot be imported fails its own job with a clear traceback; it must not fail every job.
        with contextlib.suppress(Exception):
            import_module(_reference.partition(":")[0])
if processes.can_fork():
    warm.load_libraries()
# A job's collector would look through all of it, and its marks make a copy of every page: a third of a second, 90 MB.
gc.collect()
gc.freeze()
gather_into_huge_pages()
let_go_of_files()
