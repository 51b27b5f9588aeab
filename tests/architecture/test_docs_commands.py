"""Commands in the documentation are written so that a test can run them."""

import pytest

from tests.shell_blocks import OTHERS_RUN, Block, blocks, pages

ALL = [block for page in pages() for block in blocks(page)]


def name(block: Block) -> str:
    return f"{block.page}:{block.line}"


def test_commands_stand_in_sh_blocks() -> None:
    """Others would not be run: write ```sh, and `<!-- not run: REASON -->` above what no test can run."""
    odd = [block for block in ALL if block.has_commands and block.language != "sh" and block.page not in OTHERS_RUN]
    assert list(map(name, odd)) == []


def test_a_reason_says_something() -> None:
    assert [name(block) for block in ALL if block.reason is not None and len(block.reason) < 10] == []


@pytest.mark.parametrize("page", ["docs/start-student.md", "docs/start-instructor.md", "docs/start-operator.md"])
def test_most_of_a_first_page_is_run(page: str) -> None:
    told = [block for block in ALL if block.page == page and block.language == "sh"]
    run = [block for block in told if block.reason is None]
    assert len(run) >= 2
