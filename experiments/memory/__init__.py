"""Predicting the GPU memory of a training step on a machine without a GPU.

`contract` and `devices` are free of torch, so that the API can import them; so are `allocator` and `trace`. Everything
that traces needs torch and runs in a job's process.
"""
