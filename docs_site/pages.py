"""Gathers the pages from where they are kept, and points their links at the places they have in the site."""

import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from docs_site.reference import reference_pages
from docs_site.tour import as_markdown
from experiments.registry import experiments

LINK = re.compile(r"(?P<bang>!?)\[(?P<text>(?:[^\]\n]|\n(?!\n))*)\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MARKER = re.compile(r"^<!-- not run: .*? -->\n", re.MULTILINE | re.DOTALL)
OUTSIDE_DOCS = {
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "homework/README.md": "homework.md",
}
IMAGES = "docs/images"
PICTURES = "docs/pictures"
TOUR = "docs/notebooks/tour.ipynb"
EXPERIMENTS = ("experiments/catalog", "homework/experiments")
"""The folders with a package for each experiment."""


class BrokenLink(Exception):  # noqa: N818 - the name states what happened
    """A page links to a file that does not exist."""


def assemble(root: Path, out: Path) -> None:
    """Write every page below `out`. Raises BrokenLink."""
    places = site_places(root)
    for source, place in places.items():
        text = (root / source).read_text()
        text = as_markdown(text) if source.endswith(".ipynb") else text
        text = MARKER.sub("", text)
        text = _outside_fences(text, partial(_relinked, root, source, places))
        _write(out / place, text + _gallery(_pictures(root, source)))
    shutil.copytree(root / PICTURES, out / "experiments" / "pictures")
    shutil.copytree(root / IMAGES, out / "images")
    _write(out / "experiments" / "index.md", _catalogue(root))
    for name, text in reference_pages().items():
        _write(out / "reference" / name, text)


def site_places(root: Path) -> dict[str, str]:
    """From a page's path in the repository to its path in the site."""
    found = {source: place for source, place in OUTSIDE_DOCS.items() if (root / source).exists()}
    for page in sorted((root / "docs").rglob("*.md")):
        source = page.relative_to(root).as_posix()
        place = page.relative_to(root / "docs").as_posix()
        found[source] = place.replace("README.md", "index.md")
    for page in sorted(page for folder in EXPERIMENTS for page in (root / folder).glob("*/README.md")):
        found[page.relative_to(root).as_posix()] = f"experiments/{page.parent.name.replace('_', '-')}.md"
    return found | {TOUR: "tour.md"}


def _relinked(root: Path, source: str, places: dict[str, str], text: str) -> str:
    """Links between pages follow them into the site; one to any other file becomes that file's path in words."""

    def follow(link: re.Match[str]) -> str:
        target, _, anchor = link["target"].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return link[0]
        path = os.path.normpath(os.path.join(os.path.dirname(source), target))  # noqa: PTH118, PTH120 - no file is touched
        place = _place(path, places)
        if place is not None:
            relative = os.path.relpath(place, os.path.dirname(places[source]) or ".")  # noqa: PTH120 - same
            return f"{link['bang']}[{link['text']}]({relative}{'#' + anchor if anchor else ''})"
        if not (root / path).exists():
            raise BrokenLink(f"{source} links to {link['target']}, which does not exist")
        return link["text"] if path in link["text"] else f"{link['text']} (`{path}`)"

    return LINK.sub(follow, text)


def _place(path: str, places: dict[str, str]) -> str | None:
    """Where the site has this file of the repository; None where it has not."""
    if path.startswith(f"{IMAGES}/"):
        return path.removeprefix("docs/")
    if path.startswith(f"{PICTURES}/"):
        return f"experiments/{path.removeprefix('docs/')}"
    return next((places[one] for one in (path, f"{path}/README.md") if one in places), None)


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts: list[str] = []
    at = 0
    for fence in FENCE.finditer(text):
        parts += [change(text[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, change(text[at:])])


def _gallery(pictures: list[Path]) -> str:
    """A section with the images of an experiment, where there are any."""
    if not pictures:
        return ""
    shown = "\n\n".join(f"![{picture.stem}](pictures/{picture.name})" for picture in pictures)
    return f"\n## Images\n\n{shown}\n\nFrom a small run (`python -m docs_site.pictures`), to show what is drawn.\n"


def _pictures(root: Path, source: str) -> list[Path]:
    if not source.startswith(EXPERIMENTS):
        return []
    slug = Path(source).parent.name.replace("_", "-")
    return sorted((root / PICTURES).glob(f"{slug}.*.png"))


def _catalogue(root: Path) -> str:
    """Every experiment with its first image."""
    lines = [
        "# Experiments",
        "",
        "The catalogue of the lab, and the experiments of the homework. Each is checked against an independent truth.",
        "",
    ]
    with_page = set(site_places(root).values())
    for slug, found in experiments().items():
        if f"experiments/{slug}.md" not in with_page:
            continue
        lines += [f"## {found.title}", "", f"[`{slug}`]({slug}.md): {found.summary}", ""]
        pictures = sorted((root / PICTURES).glob(f"{slug}.*.png"))[:1]
        lines += [f"[![{slug}](pictures/{picture.name}){{ width=480 }}]({slug}.md)\n" for picture in pictures]
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
