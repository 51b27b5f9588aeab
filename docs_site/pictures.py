"""`python -m docs_site.pictures`: run each experiment small and keep its images, made smaller, in docs/pictures."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from experiments.hosting.local import order_of, run_in

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
WIDEST_PIXELS = 860
COLOURS = 128
"""With fewer, lines of one chart take on the same colour."""
SMALL: dict[str, dict[str, Any]] = {
    "dropout-linear": {},
    "dropout-ridge": {},
    "dropout-cheating": {},
    "conv-gradients": {},
    "pooling-gradients": {},
    "model-memory": {"model": "resnet18", "optimizer": "adam"},
    "batch-size": {"dataset": "digits", "image_size": 32, "epochs": 3, "images": 256},
    "train-classifier": {},
    "edge-bands": {},
}


def main() -> int:
    """The names on the command line, or all."""
    for slug in sys.argv[1:] or SMALL:
        with tempfile.TemporaryDirectory() as folder:
            keep(slug, Path(folder))
    return 0


def keep(slug: str, folder: Path) -> None:
    """Run the experiment in `folder` and replace its images."""
    run = folder / "run"
    submission = {"experiment": slug, "spec": SMALL[slug]}
    run_in(run, order_of(submission, datasets=ROOT / "datasets", cache=folder / "cache"))
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.glob(f"{slug}.*.png"):
        old.unlink()
    for drawn in sorted((run / "artifacts").glob("*.png")):
        shrink(drawn, PICTURES / f"{slug}.{drawn.name}")


def shrink(source: Path, target: Path) -> None:
    with Image.open(source) as image:
        picture = image.convert("RGB")
    picture.thumbnail((WIDEST_PIXELS, 4 * WIDEST_PIXELS))
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
