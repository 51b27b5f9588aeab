"""`gpulab reserve`, against the API at a real port."""

import pytest
from sqlalchemy import update

from gpulab.states import Role
from models import User
from tests.integration.api.seeds import NODE, SeededUser, Seeds
from tests.integration.api.test_users_cli import Terminal, terminal

__all__ = ["terminal"]

TIMES = ("--start", "2031-01-06T10:00", "--end", "2031-01-06 12:00")


@pytest.fixture
def ada(seeds: Seeds) -> SeededUser:
    """A student of section A, in a lab of two GPUs."""
    seeds.node(gpu_reason=None)
    for index in range(2):
        seeds.gpu(f"GPU-{index}", index)
    user = seeds.user("ada", Role.STUDENT)
    with seeds.engine.begin() as connection:
        connection.execute(update(User).where(User.id == user.id).values(section="A"))
    return user


async def test_lab_hours_are_set_changed_skipped_and_cancelled(terminal: Terminal, ada: SeededUser) -> None:
    assert await terminal("reserve") == "No lab hours.\n"
    said = await terminal(
        "reserve", "add", "Lab of A", "--gpus", "2", "--section", "A", "--weekly-until", "2031-02-03", *TIMES
    )
    assert said.startswith("Lab of A: 2 GPUs for section A, Mondays 10:00 to 12:00 until 2031-02-03 (UTC)\n  next in")
    changed = await terminal.json("reserve", "change", "Lab of A", "--gpus", "1", "--user", "ada", "--give-back", "5")
    assert (changed["gpus"], changed["users"], changed["give_back_minutes"]) == (1, {str(ada.id): "ada"}, 5)
    assert "not on 2031-01-13" in await terminal("reserve", "skip", "Lab of A", "2031-01-13")
    (listed,) = await terminal.json("reserve", "list")
    assert [one["start"][:10] for one in listed["next"]][:2] == ["2031-01-06", "2031-01-20"]
    assert "not on" not in await terminal("reserve", "skip", "Lab of A", "2031-01-13", "--undo")
    assert "1 GPU  section A and ada" in await terminal("reserve")
    assert await terminal("reserve", "cancel", "Lab of A") == "Lab of A: cancelled\n"
    assert "no lab hours have the name or id 'Lab of A'" in await terminal("reserve", "cancel", "Lab of A", expected=2)


async def test_whole_machine_and_refusals_name_what_is_wrong(terminal: Terminal, ada: SeededUser) -> None:
    said = await terminal("reserve", "add", "Demo", "--node", NODE, "--user", "ada", *TIMES)
    assert f"Demo: all of {NODE} for ada, 2031-01-06 10:00 to 12:00 (UTC)" in said
    refused = await terminal("reserve", "add", "More", "--gpus", "1", "--section", "A", *TIMES, expected=3)
    assert "0 GPUs free on 2031-01-06 10:00" in refused
    assert "“Demo”" in refused
    assert "nothing to change" in await terminal("reserve", "change", "Demo", expected=2)
