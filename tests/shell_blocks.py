"""The commands that the documentation tells: fenced `sh` blocks, each to be run or marked with the reason why not."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.lab import ROOT

BLOCK = re.compile(
    r"^(?P<marker><!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^\s*(gpulab|make|docker|pip|curl|export|python3?|\.venv/bin/\S+) ", re.MULTILINE)
OTHERS_RUN = {"docs/api.md"}
"""Its `bash` blocks are run by tests/integration/api/test_api_document.py."""


@dataclass(frozen=True, slots=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    reason: str | None
    """Why it is not run."""

    @property
    def has_commands(self) -> bool:
        return self.language == "sh" or (
            self.language in {"", "bash", "console"} and COMMAND.search(self.text) is not None
        )


def pages() -> list[Path]:
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "experiments").rglob("*.md")]
    return sorted(page for page in found if page.name != "CHANGELOG.md")


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page.relative_to(ROOT).as_posix(),
            text.count("\n", 0, found.start()) + 1,
            found["language"],
            found["text"],
            found["reason"],
        )
        for found in BLOCK.finditer(text)
    ]
