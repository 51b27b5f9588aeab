"""Why the sheet's readings of memory and time are what they are. A test holds each number to its source."""

WHY_814 = (
    "The device showed 814 MiB with the model in place. The model's own parameters and buffers take 222 MiB of it. The "
    "rest, about 592 MiB, is the CUDA context with its kernels and libraries. It depends on the driver and the CUDA "
    "version: since CUDA 11.7, kernels are loaded when they are first used, so a context is smaller today."
)
WHY_82_AND_84 = (
    "Why the device grows by 82 and 84 MiB where state grows by 222 each: the first step makes the optimizer's state, "
    "after the backward pass has freed 1.3 GiB of activations. Freed blocks stay reserved. The allocator takes most of "
    "the state out of them, and the reading grows only by what finds no large enough block. PyTorch's allocator "
    "on an emulated T4 gives 82 and 84 MiB too, with optimizers that update one parameter at a time, as in 2023."
)
WHY_THE_SECOND_STEP = (
    "Plan with the second step: there the state and the activations are in memory together. Reserved memory on the "
    "emulated T4 is then 220 and 204 MiB apart, and live tensors differ by the full 222."
)
WHY_256 = (
    "Why 256 was the fastest: nine epochs of 4096 images are 36,864 images at every batch size, but 9216 steps at "
    "4 and 144 at 256. Each step has a fixed cost: launching kernels, and the optimizer's pass over all parameters. A "
    "line fitted to the sheet's four times, within 16 s of each, gives 17 ms a step and 6.2 ms an image. So batch size "
    "4 pays 155 s for its steps and 256 pays 2 s. From 16 on there is little left to gain: loading and computing the "
    "images takes nearly all of the time."
)
WHY_31 = (
    "Why the device grows by 31 MiB an image where activations grow by 21: beyond batch size 64 the rest is "
    "fragmentation. The backward pass frees tensors of hundreds of MiB, and the next request does not fit into the "
    "holes. PyTorch's allocator on an emulated T4 reserves 30 MiB more for each image."
)
