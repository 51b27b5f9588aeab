"""What would let a waiting job start sooner. It follows from what the job asks for and from its wait reason."""

from collections.abc import Sequence
from typing import Any

from gpulab.states import WaitReason
from gpulab.words import counted

LASTS_TOO_LONG = {WaitReason.RESERVED_FOR_ANOTHER, WaitReason.LAB_HOURS}
BUSY = {WaitReason.NO_FREE_GPU, WaitReason.NO_FREE_SLOT, *LASTS_TOO_LONG}
HELP = {
    WaitReason.NO_NODE: ["a node that is up: staff can see the reason at /v1/nodes"],
    WaitReason.NO_SANDBOX: ["staff setting up a sandbox on a node: `gpulab doctor` says how"],
    WaitReason.DATASET_MISSING: ["staff adding the data set to a node, or another data set in the spec"],
    WaitReason.NO_GPU: ["asking for fewer GPUs: all of a job's GPUs are on one node"],
    WaitReason.CANNOT_FIT: ["asking for less GPU memory: a smaller batch or model, or a lower `gpu_memory_bytes`"],
    WaitReason.LIMIT_RUNNING: [
        "the end of one of your running jobs (you can cancel one), or a higher limit from staff"
    ],
    WaitReason.LIMIT_GPU_HOURS: ["time: older usage stops counting; or a higher limit of GPU-hours from staff"],
    WaitReason.LIMIT_GIB_HOURS: ["time: older usage stops counting; or a higher limit of GiB-hours from staff"],
    WaitReason.ESTIMATING: ["nothing is needed: the prediction takes seconds. Setting `gpu_memory_bytes` skips it"],
}


def what_helps(job: Any, *, own_ahead: int) -> Sequence[str]:
    """Advice, most useful first. `own_ahead` is the number of the owner's jobs ahead of it."""
    found = list(HELP.get(job.wait_reason, ()))
    if job.wait_reason not in BUSY:
        return found
    if job.wait_reason in LASTS_TOO_LONG:
        found.append(f"a time limit below {job.time_limit_seconds} s: a job that ends in time may go first")
    if job.wait_reason != WaitReason.NO_FREE_SLOT:
        found += _smaller(job)
    if own_ahead:
        found.append(
            f"cancelling jobs that you need less: this one waits behind {counted(own_ahead, 'job')} of your own"
        )
    if job.priority == "low":
        found.append("the priority `normal`")
    return found


def _smaller(job: Any) -> list[str]:
    if (job.gpus or 1) > 1:
        return [f"fewer than {job.gpus} GPUs: they must be free on one node at the same time"]
    if job.exclusive:
        return ["setting `exclusive` to false: the job then needs only a part of a GPU"]
    if job.gpu_memory_bytes is None and job.estimate_state == "ready":
        return ["a smaller batch; or `gpu_memory_bytes` below the predicted size, if you know that less is enough"]
    if job.gpu_memory_bytes is None:
        return ["setting `gpu_memory_bytes`: the job then needs only a part of a GPU instead of a whole one"]
    return ["a lower `gpu_memory_bytes`: a smaller part of a GPU becomes free sooner"]
