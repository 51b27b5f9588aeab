"""`gpulab assignments grade`, `grades`, `import-grades`, `release`, `rerun --all` and `end-extension`."""

from pathlib import Path
from uuid import UUID

import pytest

from gpulab.states import Role
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import finish
from tests.integration.api.test_users_cli import Terminal, terminal

__all__ = ["terminal"]

HOMEWORK = ("assignments", "create", "Homework", "--deadline", "2999-01-31", "--experiment", "dropout-linear")


@pytest.fixture
def sam(seeds: Seeds) -> SeededUser:
    seeds.node()
    return seeds.user("sam", Role.STUDENT)


async def handed_in(terminal: Terminal, seeds: Seeds, who: SeededUser, tmp_path: Path) -> Terminal:
    """Their own terminal, after they handed a run in."""
    own = Terminal(terminal.common[1], who.token, tmp_path, terminal._capsys)
    finish(seeds, seeds.job(who), {"loss": 1.0})
    await own("assignments", "hand-in", "Homework", "@last")
    return own


async def test_grade_by_hand_is_seen_by_its_student_once_released(
    terminal: Terminal, seeds: Seeds, sam: SeededUser, tmp_path: Path
) -> None:
    await terminal(*HOMEWORK, "--max-points", "10")
    folder = tmp_path / "own"
    folder.mkdir()
    own = await handed_in(terminal, seeds, sam, folder)
    wrong = await terminal("assignments", "grade", "Homework", "sam", "--points", "eleven", expected=2)
    assert "'eleven' is not a number of points" in wrong
    over = await terminal("assignments", "grade", "Homework", "sam", "--points", "11", expected=3)
    assert "points must be between 0 and 10" in over
    lines = ("--line", "Plots=6", "--line", "No labels=-1.5", "--comment", "Almost")
    assert "4.5 of 10" in await terminal("assignments", "grade", "Homework", "sam", *lines)
    assert "Almost" not in await own("assignments", "show", "Homework")
    released = await terminal("assignments", "release", "Homework")
    assert "grades are released\n1 student of 1 with points\n" in released
    shown = await own("assignments", "show", "Homework")
    assert all(words in shown for words in ("4.5 of 10", "No labels", "-1.5", "Almost"))
    assert "grades are hidden" in await terminal("assignments", "release", "Homework", "--withdraw")
    assert "Almost" not in await own("assignments", "show", "Homework")
    await own("assignments", "grade", "Homework", "sam", expected=3)
    removed = await terminal("assignments", "grade", "Homework", "sam", "--remove")
    assert "none yet" in removed
    assert "taken back" in removed


async def test_table_goes_out_for_a_platform_and_comes_back_corrected(
    terminal: Terminal, sam: SeededUser, tmp_path: Path
) -> None:
    await terminal(*HOMEWORK, "--max-points", "10")
    await terminal("assignments", "grade", "Homework", "sam", "--points", "7")
    assert "    Points Possible,,,,,10" in await terminal("assignments", "grades", "Homework", "--columns", "canvas")
    table = tmp_path / "grades.csv"
    await terminal("assignments", "grades", "Homework", "--out", str(table))
    text = table.read_text(encoding="utf-8")
    again = ("assignments", "grades", "Homework", "--columns", "moodle", "--out", str(table))
    assert "exists; name another file, or replace it with --overwrite" in await terminal(*again, expected=2)
    assert table.read_text(encoding="utf-8") == text
    await terminal(*again, "--overwrite")
    assert "Email address" in table.read_text(encoding="utf-8")
    table.write_text(text.replace(",7,hand", ",8,hand"), encoding="utf-8")
    tried = await terminal("assignments", "import-grades", "Homework", str(table), "--dry-run")
    assert "1 would be changed, 0 unchanged" in tried
    assert "7 → 8" in tried
    assert "1 changed" in await terminal("assignments", "import-grades", "Homework", str(table))
    table.write_text("name,points\nsam,99\n", encoding="utf-8")
    refused = await terminal("assignments", "import-grades", "Homework", str(table), expected=3)
    assert "line 2, points" in refused
    assert "there is no table for 'sap'" in await terminal(
        "assignments", "grades", "Homework", "--columns", "sap", expected=2
    )


async def test_whole_class_is_run_again_and_counted(
    terminal: Terminal, seeds: Seeds, sam: SeededUser, tmp_path: Path
) -> None:
    await terminal(*HOMEWORK, "--rerun-points", "5")
    folder = tmp_path / "own"
    folder.mkdir()
    await handed_in(terminal, seeds, sam, folder)
    assert "name one student, or --all" in await terminal("assignments", "rerun", "Homework", expected=2)
    assert "1 submission: 1 waiting" in await terminal("assignments", "rerun", "Homework", "--all")
    newest, *_ = await terminal.json("status")
    finish(seeds, UUID(newest["id"]), {"loss": 1.0})
    again = await terminal("assignments", "rerun", "Homework", "--all", "--wait")
    assert "0 submissions queued" in again
    assert "1 submission: 1 the same" in again
    assert "rerun" in await terminal("assignments", "grade", "Homework", "sam")


async def test_release_says_who_has_no_points(
    terminal: Terminal, seeds: Seeds, sam: SeededUser, tmp_path: Path
) -> None:
    await terminal(*HOMEWORK, "--max-points", "10")
    for name in ("Ann", "Bo", "Cy"):
        seeds.user(name, Role.STUDENT)
    folder = tmp_path / "own"
    folder.mkdir()
    await handed_in(terminal, seeds, sam, folder)
    await terminal("assignments", "grade", "Homework", "Ann", "--points", "7")
    said = (await terminal("assignments", "release", "Homework")).splitlines()
    assert said[1:] == ["1 student of 4 with points", "1 handed in, without points: sam", "2 handed in nothing"]


async def test_extension_is_taken_back(terminal: Terminal, sam: SeededUser) -> None:
    await terminal(*HOMEWORK)
    ended = ("assignments", "end-extension", "Homework", "--user", "sam")
    assert "has no extension" in await terminal(*ended, expected=2)
    await terminal("assignments", "extend", "Homework", "--user", "sam", "--deadline", "2999-02-28")
    assert "sam  has the deadline of the assignment again" in await terminal(*ended)
    assert await terminal.json("assignments", "extensions", "Homework") == []
