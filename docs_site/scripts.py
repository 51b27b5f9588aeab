"""Moves the generator's inline scripts into files, so that the site works where only files may be scripts."""

import gzip
import re
from functools import partial
from hashlib import sha256
from pathlib import Path

INLINE = re.compile(r"<script>(?P<code>.+?)</script>", re.DOTALL)
FOLDER = Path("assets", "javascripts")
PACKED = (".css", ".html", ".js", ".json")
MIN_PACKED_BYTES = 1024


def move_inline_scripts(site: Path) -> None:
    """Each distinct script becomes one file, named by its content. It runs at the same place of its pages as before."""
    for page in site.rglob("*.html"):
        up = "../" * (len(page.relative_to(site).parts) - 1) or "./"
        page.write_text(INLINE.sub(partial(_as_file, site, up), page.read_text()))


def _as_file(site: Path, up: str, script: re.Match[str]) -> str:
    path = FOLDER / f"page.{sha256(script['code'].encode()).hexdigest()[:8]}.js"
    (site / path).write_text(script["code"])
    return f'<script src="{up}{path.as_posix()}"></script>'


def pack(site: Path) -> None:
    """Put a compressed copy beside each large file of text. The same file gives the same bytes."""
    for path in [path for path in site.rglob("*") if path.suffix in PACKED]:
        content = path.read_bytes()
        if len(content) >= MIN_PACKED_BYTES:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, mtime=0))
