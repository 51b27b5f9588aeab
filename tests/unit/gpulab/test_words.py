"""Numbers in sentences."""

from gpulab.words import counted


def test_one_is_singular_and_thousands_are_set_apart() -> None:
    assert [counted(count, "more run") for count in (0, 1, 2, 1000)] == [
        "0 more runs",
        "1 more run",
        "2 more runs",
        "1,000 more runs",
    ]
