"""A scheduler notices that the machine slept or that a clock was set."""

from scheduler.clock import ClockWatch, Jump


def seen(*looks: tuple[float, float]) -> list[Jump | None]:
    """The answers to looks at the clocks of the database and of the machine."""
    watch = ClockWatch()
    return [watch.look(*look) for look in looks]


def test_time_that_passes_is_no_jump() -> None:
    assert seen((100, 0), (101, 1), (104.5, 3), (114, 12.9)) == [None] * 4


def test_machine_that_slept_was_halted_and_its_clock_was_not_set() -> None:
    assert seen((100, 0), (28_900, 28_800), (28_901, 28_801))[1:] == [Jump(0.0, 28_800.0), None]


def test_clock_that_was_set_says_how_far() -> None:
    assert seen((100, 0), (3_702, 2), (103, 3))[1:] == [Jump(3_600.0, 0.0), Jump(-3_600.0, 0.0)]


def test_slow_scheduler_is_not_halted_forever() -> None:
    found = seen((0, 0), (20, 20), (40, 40), (60, 60), (61, 61), (81, 81))
    assert [jump is not None for jump in found] == [False, True, False, False, False, True]
