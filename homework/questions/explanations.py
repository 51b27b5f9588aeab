"""Why the sheet's readings of memory and time are what they are. A test holds each number to its source."""

WHY_814 = (
    "814 MiB is what the device showed with the model in place. 222 MiB of it are the model's own parameters and "
    "buffers; the rest, about 592 MiB, is the CUDA context with its kernels and libraries, a property of driver and "
    "CUDA version: since CUDA 11.7 kernels are loaded when first used, and a context of today is smaller."
)
WHY_82_AND_84 = (
    "Why the device grows by 82 and 84 MiB where state grows by 222 each: the optimizer's state is made by the first "
    "step, after the backward pass has freed 1.3 GiB of activations. Freed blocks stay reserved, the allocator carves "
    "most of the state out of them, and only what finds no block large enough raises the reading. PyTorch's allocator "
    "on an emulated T4 gives 82 and 84 MiB too, with optimizers that update one parameter at a time, as in 2023."
)
WHY_THE_SECOND_STEP = (
    "Plan with the second step: there the state meets the activations. Reserved memory on the emulated T4 is then "
    "220 and 204 MiB apart, and live tensors differ by the full 222."
)
WHY_256 = (
    "Why 256 was the fastest: nine epochs of 4096 images are 36,864 images at every batch size, but 9216 steps at "
    "4 and 144 at 256. Each step has a cost of its own: launching kernels, the optimizer's pass over all parameters. "
    "The line nearest to the sheet's four times, within 16 s of each, gives 17 ms a step and 6.2 ms an image, so that "
    "4 pays 155 s for its steps and 256 pays 2 s. From 16 on little is left to gain: the time is that of loading and "
    "computing images."
)
WHY_31 = (
    "Why the device grows by 31 MiB an image where activations grow by 21: beyond batch 64 the rest is fragmentation. "
    "Tensors of hundreds of MiB die in the backward pass and leave holes that the next request does not fit. "
    "PyTorch's allocator on an emulated T4 reserves 30 MiB an image more."
)
