"""What would let a waiting job start sooner: from what it asks for and from the scheduler's reason."""

from collections.abc import Sequence
from typing import Any

from gpulab.words import counted

BUSY = {"no_free_gpu", "reserved_for_another", "no_free_slot"}
HELP = {
    "no_node": ["a node that is up: staff can see why none is, at /v1/nodes"],
    "no_sandbox": ["staff setting up a sandbox on a node: `gpulab doctor` says how"],
    "dataset_missing": ["staff adding the data set to a node, or another data set in the spec"],
    "no_gpu": ["asking for fewer GPUs: all of a job's GPUs are on one node"],
    "cannot_fit": ["asking for less GPU memory: a smaller batch or model, or a lower `gpu_memory_bytes`"],
    "limit_running": ["the end of one of your running jobs, of which you may cancel one; or staff raising your limit"],
    "limit_gpu_hours": ["time: use counts only for a while; or staff raising your limit of GPU-hours"],
    "limit_gib_hours": ["time: use counts only for a while; or staff raising your limit of GiB-hours"],
    "estimating": ["nothing: the prediction takes seconds; or `gpu_memory_bytes`, with which it waits for none"],
}


def what_helps(job: Any, *, own_ahead: int) -> Sequence[str]:
    """Advice, most useful first. `own_ahead` are the owner's jobs that stand before it."""
    found = list(HELP.get(job.wait_reason or "", ()))
    if job.wait_reason not in BUSY:
        return found
    if job.wait_reason == "reserved_for_another":
        found.append(f"a shorter time limit than its {job.time_limit_seconds} s: it may pass if it ends in time")
    if job.wait_reason != "no_free_slot":
        found += _smaller(job)
    if own_ahead:
        found.append(f"cancelling what you need less: it waits behind {counted(own_ahead, 'job')} of your own")
    if job.priority == "low":
        found.append("the priority `normal`")
    return found


def _smaller(job: Any) -> list[str]:
    if (job.gpus or 1) > 1:
        return [f"fewer than {job.gpus} GPUs: they must be free on one node at the same time"]
    if job.exclusive:
        return ["`exclusive` false: it takes a whole GPU, and others share theirs"]
    if job.gpu_memory_bytes is None and job.estimate_state == "ready":
        return ["a smaller batch, or less `gpu_memory_bytes` than the prediction reserves if you know that it will do"]
    if job.gpu_memory_bytes is None:
        return ["`gpu_memory_bytes`: without it the job takes a whole GPU, with it a part of one will do"]
    return ["less `gpu_memory_bytes`: a smaller hole is free sooner"]
