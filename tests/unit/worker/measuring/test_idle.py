"""A job that leaves its GPUs unused is told, and ended when nothing changes."""

from worker.measuring.idle import IdleWatch, Verdict


def verdicts(*looks: tuple[float, list[float | None]], seconds: float = 60) -> list[str]:
    watch = IdleWatch(percent=1, seconds=seconds)
    return [watch.look(now, utilizations) for now, utilizations in looks]


def test_notice_comes_at_half_time_once_and_the_end_after_it() -> None:
    looks = [(at, [0.0, 0.5]) for at in (0, 29, 30, 31, 59, 60)]
    assert verdicts(*looks) == ["nothing", "nothing", "notice", "nothing", "nothing", "end"]


def test_use_of_one_gpu_begins_the_time_anew() -> None:
    looks = [(0, [0.0, 0.0]), (35, [0.0, 0.0]), (36, [0.0, 90.0]), (40, [0.0, 0.0]), (69, [0.0, 0.0]), (70, [0.0, 0.0])]
    assert verdicts(*looks) == ["nothing", "notice", "nothing", "nothing", "nothing", "notice"]


def test_unknown_utilisation_counts_as_use_and_no_gpu_is_never_idle() -> None:
    assert verdicts((0, [None]), (100, [None])) == [Verdict.NOTHING] * 2
    assert verdicts((0, []), (100, [])) == [Verdict.NOTHING] * 2


def test_notice_comes_before_the_end_even_after_a_gap_in_the_looks() -> None:
    assert verdicts((0, [0.0]), (500, [0.0]), (501, [0.0])) == ["nothing", "notice", "end"]


def test_no_time_means_no_policy() -> None:
    assert verdicts((0, [0.0]), (500, [0.0]), seconds=0) == ["nothing"] * 2
