"""The images in README: `python -m tests.browser.pictures`, with Chromium and the built dashboard."""

import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS, ROOT, SIZES, chromium
from tests.browser.scene import Scene

FOLDER = ROOT / "docs" / "images"
COLORS = 128
PICTURES = {
    "lab": ("light", "desktop", "/", "Waiting"),
    "job": ("dark", "desktop", "/jobs/{trained}", "Result"),
    "compare": ("light", "desktop", '/compare?jobs=["{trained}","{trained_more}"]&metric=validation_accuracy', "Field"),
    "submit": ("light", "desktop", "/submit?experiment=train-classifier", "likely peak on the device"),
    "phone": ("dark", "phone", "/", "Waiting"),
}


def main() -> None:
    """Play the scene, take each image, and keep it small."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder))
        try:
            scene.start()
            scene.play()
            _take(scene)
        finally:
            scene.stop()


def _take(scene: Scene) -> None:
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for name, (theme, device, address, words) in PICTURES.items():
            width, height = SIZES[device]
            context = browser.new_context(
                base_url=scene.url,
                viewport={"width": width, "height": height},
                color_scheme="dark" if theme == "dark" else "light",
                is_mobile=device == "phone",
                locale="en-GB",
            )
            context.request.post("/v1/session", data={"token": scene.token})
            page = context.new_page()
            page.goto(address.format(**scene.ids))
            page.get_by_text(words).first.wait_for()
            _keep(page, FOLDER / f"{name}.png")
            context.close()
        browser.close()


def _keep(page: Page, place: Path) -> None:
    page.wait_for_load_state("load")
    # Charts are drawn in the frame after the one that shows their place.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.screenshot(path=place, animations="disabled")
    with Image.open(place) as shot:
        small = shot.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    small.save(place, optimize=True)


if __name__ == "__main__":
    main()
