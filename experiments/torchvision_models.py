"""The classifiers that torchvision brings, and the images they can take. No torch here: specs import it."""

from typing import Literal, get_args

ModelName = Literal[
    "alexnet",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_128gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_b",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_s",
    "swin_v2_t",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
    "wide_resnet101_2",
    "wide_resnet50_2",
]
MODELS: tuple[str, ...] = get_args(ModelName)

_MIN_IMAGE_SIZE = {
    "alexnet": 63,
    "convnext": 32,
    "densenet": 29,
    "googlenet": 15,
    "inception_v3": 299,
    "squeezenet1_0": 21,
    "squeezenet1_1": 17,
    "swin": 4,
    "vgg": 32,
}
"""By the start of the name: below this many pixels a training pass runs out of pixels in some layer; elsewhere 1."""
_IMAGE_MULTIPLE = {"maxvit_t": 224, "vit_b_16": 16, "vit_b_32": 32, "vit_h_14": 14, "vit_l_16": 16, "vit_l_32": 32}
"""Models that cut an image into patches or windows of a fixed size."""

_BY_MEMORY: tuple[tuple[ModelName, ...], ...] = (
    ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    ("resnet50", "wide_resnet50_2", "wide_resnet101_2"),
    ("resnet50", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
    ("densenet121", "densenet169", "densenet201", "densenet161"),
    ("convnext_tiny", "convnext_small", "convnext_base", "convnext_large"),
    tuple(f"efficientnet_b{size}" for size in range(8)),  # type: ignore[misc] # they are names
    ("efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l"),
    ("regnet_x_400mf", "regnet_x_800mf", "regnet_x_1_6gf", "regnet_x_3_2gf", "regnet_x_8gf", "regnet_x_16gf",
     "regnet_x_32gf"),
    ("regnet_y_400mf", "regnet_y_800mf", "regnet_y_1_6gf", "regnet_y_3_2gf", "regnet_y_8gf", "regnet_y_16gf",
     "regnet_y_32gf", "regnet_y_128gf"),
    ("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    ("mobilenet_v3_small", "mobilenet_v3_large"),
    ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    ("swin_t", "swin_s", "swin_b"),
    ("swin_v2_t", "swin_v2_s", "swin_v2_b"),
    ("vit_b_32", "vit_b_16", "vit_l_32", "vit_l_16", "vit_h_14"),
)  # fmt: skip
"""Models of one kind, each with more to hold than the one before."""
_SMALL: tuple[ModelName, ...] = ("resnet18", "mobilenet_v3_small", "squeezenet1_1")


def smaller_models(model: str) -> list[ModelName]:
    """What takes less memory than `model`: up to three like it, the nearest first, then small ones of other kinds."""
    kinds = [kind[: kind.index(model)] for kind in _BY_MEMORY if model in kind]
    alike = list(dict.fromkeys(name for kind in kinds for name in reversed(kind)))
    found = alike[:: -(-len(alike) // 3) or 1]
    at = _SMALL.index(model) + 1 if model in _SMALL else 0
    return [*found, *(name for name in _SMALL[at:] if name not in found)]


def check_image_size(model: str, image_size: int) -> None:
    """Raise `ValueError` where the model cannot take images of image_size x image_size pixels."""
    multiple = _IMAGE_MULTIPLE.get(model, 1)
    if image_size % multiple:
        raise ValueError(f"image_size: {model} takes multiples of {multiple} pixels; it is {image_size}")
    smallest = next((size for start, size in _MIN_IMAGE_SIZE.items() if model.startswith(start)), 1)
    if image_size < smallest:
        raise ValueError(f"image_size: {model} takes {smallest} pixels or more; it is {image_size}")
