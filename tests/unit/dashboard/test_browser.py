"""What browsers are like: clocks that are off, storage that is forbidden, fields that take any year."""

from typing import Any

import pytest

from tests.unit.dashboard.scripts import run_module

LAB = "Mon, 30 Nov 2026 12:00:00 GMT"
HOUR = 3_600_000


@pytest.mark.parametrize("off", [-26 * HOUR, -HOUR, -6_000, 6_000, 400 * 24 * HOUR])
def test_time_is_the_labs_where_the_clock_is_off(off: int) -> None:
    body = """
        const lab = Date.parse(given.lab);
        const clock = Date.now;
        Date.now = () => lab + given.off;
        module.hear(given.lab, Date.now());
        const now = module.now();
        Date.now = clock;
        return now - lab;
    """
    assert run_module("browser/clock.ts", body, {"lab": LAB, "off": off}) == 0


@pytest.mark.parametrize(("off", "date"), [(900, LAB), (-4_000, LAB), (HOUR, None), (HOUR, "soon"), (HOUR, "")])
def test_a_clock_that_is_right_and_a_response_without_a_date_change_nothing(off: int, date: str | None) -> None:
    body = """
        module.hear(given.date, Date.parse(given.lab) + given.off);
        return Math.abs(module.now() - Date.now()) < 1000;
    """
    assert run_module("browser/clock.ts", body, {"lab": LAB, "off": off, "date": date}) is True


def test_time_does_not_move_back_and_forth_with_the_way_of_a_response() -> None:
    body = """
        const lab = Date.parse(given);
        module.hear(given, lab - 7200000);
        const first = module.now() - Date.now();
        for (const way of [900, 2500, -1200, 4000]) module.hear(given, lab - 7200000 + way);
        return [first, Math.round((module.now() - Date.now()) / 1000) * 1000];
    """
    assert run_module("browser/clock.ts", body, LAB) == [7_200_000, 7_200_000]


@pytest.mark.parametrize("storage", ["undefined", "full", "forbidden"])
def test_storage_that_fails_remembers_nothing(storage: str) -> None:
    body = """
        const fail = () => { throw new DOMException("no", given === "full" ? "QuotaExceededError" : "SecurityError"); };
        if (given === "full") globalThis.localStorage = { getItem: () => null, setItem: fail };
        if (given === "forbidden") Object.defineProperty(globalThis, "localStorage", { get: fail, configurable: true });
        module.remember("a", "b");
        return module.recall("a");
    """
    assert run_module("browser/storage.ts", body, storage) is None


@pytest.mark.parametrize(
    ("entered", "expected"),
    [
        ("", False),
        ("20300-01-31T10:00", False),
        ("275761-01-01T00:00", False),
        ("2030-02-30T10:00", None),
        ("2030-01-31T10:00", True),
        ("0001-01-01T00:00", True),
        ("tomorrow", False),
    ],
)
def test_a_field_that_holds_no_time_is_known(entered: str, expected: bool | None) -> None:
    body = "return [module.isTime(given), module.isTime(given) && module.instant(given).length >= 20];"
    found = run_module("entered-time.ts", body, entered)
    # Engines differ over a day that the month does not have; either way no page fails.
    assert found[0] == found[1]
    assert expected is None or found[0] is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"name": "a", "tags": ["x"]}, {"name": "a", "tags": ["x"]}, {}),
        ({"name": "a", "tags": ["x"]}, {"name": "b", "tags": ["x"]}, {"name": "b"}),
        ({"name": "a", "tags": ["x"]}, {"name": "a", "tags": ["x", "y"]}, {"tags": ["x", "y"]}),
        ({"points": None}, {"points": 0}, {"points": 0}),
        ({"points": 5}, {"points": None}, {"points": None}),
    ],
)
def test_a_form_sends_what_was_changed_in_it(before: Any, after: Any, expected: Any) -> None:
    assert run_module("changed.ts", "return module.changed(...given);", [before, after]) == expected


def test_text_that_a_translator_moved_is_left_where_it_is() -> None:
    body = """
        const calls = [];
        globalThis.Node = class {
          removeChild(child) { calls.push(["remove", child.name]); return child; }
          insertBefore(child, next) {
            calls.push(["insert", child.name, next === null ? null : next.name]);
            return child;
          }
        };
        module.bearTranslators();
        const parent = new Node();
        const own = { name: "own", parentNode: parent };
        const moved = { name: "moved", parentNode: new Node() };
        const added = { name: "added", parentNode: null };
        parent.removeChild(own);
        const kept = parent.removeChild(moved) === moved;
        for (const next of [own, moved, null, undefined]) parent.insertBefore(added, next);
        return [kept, calls];
    """
    added = [["insert", "added", where] for where in ("own", None, None, None)]
    assert run_module("browser/translators.ts", body) == [True, [["remove", "own"], *added]]
