"""The constants of a real GPU, by the child and the driver that a node uses."""

import json
import time
from pathlib import Path

import pytest

from experiments.contract import SPEC_FILE
from experiments.internal.gpu_constants.spec import SLUG
from worker.measuring.gpu_overhead import NotMeasuredError, measure
from worker.measuring.nvml import Nvml
from worker.runs.zygote import Zygote

pytestmark = pytest.mark.gpu
MIB = 1 << 20


def test_context_and_workspaces_of_this_machine_are_within_what_is_known_of_any(nvml: Nvml, tmp_path: Path) -> None:
    usable = [gpu for gpu in nvml.gpus() if gpu.healthy]
    if not usable:
        pytest.skip("every GPU of this machine is broken")
    order = {"experiment": SLUG, "spec": {}, "seed": 0, "device": "cuda", "threads": 1}
    folders = {"datasets_folder": str(tmp_path), "cache_folder": str(tmp_path)}
    (tmp_path / SPEC_FILE).write_text(json.dumps(order | folders))
    zygote = Zygote(tmp_path)
    zygote.warm()
    try:
        found = measure(nvml, usable[0], tmp_path, zygote.start, time.monotonic() + 90)
    except NotMeasuredError as error:
        pytest.skip(str(error))
    assert 50 * MIB <= found.context_bytes <= 1024 * MIB
    assert 0 < found.libraries_bytes <= 1024 * MIB
    assert 0 < found.cublas_workspace_bytes <= 256 * MIB
    assert 0 <= found.convolution_workspace_bytes <= 4096 * MIB
    assert nvml.read(usable[0].uuid).processes == {}, "the child is gone"
