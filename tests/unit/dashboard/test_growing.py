"""Series that the dashboard reads piece by piece."""

from typing import Any

from tests.unit.dashboard.scripts import run_module


def read(*series: dict[str, Any], whole: bool = False, names: tuple[str, ...] = ("accuracy", "loss")) -> dict[str, Any]:
    return {"job_id": "j", "series": list(series), "names": list(names), "cursor": "1-1", "whole": whole}


def one(name: str, steps: list[int], **nonfinite: str) -> dict[str, Any]:
    numbers = [float(step) for step in steps]
    strange = {at.removeprefix("at"): value for at, value in nonfinite.items()}
    return {
        "name": name,
        "steps": steps,
        "values": numbers,
        "times": numbers,
        "nonfinite": strange,
        "total_points": len(steps),
    }


def test_new_points_follow_the_known_ones() -> None:
    body = "return module.followed(...given);"
    before = read(one("loss", [1, 2], at1="nan"), whole=True, names=("loss",))
    newer = read(one("accuracy", [2]), one("loss", [3, 4], at0="inf"))
    found = run_module("api/growing.ts", body, [before, newer])
    assert found["series"] == [one("accuracy", [2]), one("loss", [1, 2, 3, 4], at1="nan", at2="inf")]
    assert found["names"] == ["accuracy", "loss"]


def test_all_points_anew_replace_the_known_ones_and_none_leave_them_as_they_are() -> None:
    body = """
        const [before, whole, none] = given;
        return [module.followed(before, whole) === whole, module.followed(before, none) === before,
            module.grown(before, 1), module.grown(before, 2)];
    """
    before = read(one("loss", [1, 2, 3]), whole=True)
    found = run_module("api/growing.ts", body, [before, read(one("loss", [1]), whole=True), read()])
    assert found == [True, True, True, False]
