"""Instants in requests: which are taken, and what is said of the others."""

import pytest
from pydantic import TypeAdapter, ValidationError

from gpulab.schemas.users import Moment, Time

TIME: TypeAdapter[str] = TypeAdapter(Time)
MOMENT = TypeAdapter(Moment)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (" 2030-01-31\n", "2030-01-31"),
        ("2030-01-31 18:00 +0100", "2030-01-31T18:00+0100"),
        ("2030-01-31t18:00:59.5z", "2030-01-31T18:00:59.5Z"),
        ("2030-01-31T18:00+14:00", "2030-01-31T18:00+14:00"),
        ("2028-02-29", "2028-02-29"),
    ],
)
def test_times_as_people_write_them(given: str, read: str) -> None:
    assert TIME.validate_python(given) == read


@pytest.mark.parametrize(
    "given",
    [
        *(
            "2030-02-30",
            "2029-02-29",
            "2030-01-31T24:00",
            "2030-01-31T18:00:60",
            "2030-W05-4",
            "20300131",
            "31.01.2030",
        ),
        *("2030-01-31Z", "2030-01-31T18:00+24:00", "2030-01-31T18:00+05:60", "\u0662\u0660\u0663\u0660-01-31", "1e9"),
    ],
)
def test_what_is_no_time_is_refused_in_words(given: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TIME.validate_python(given)
    assert "timedelta" not in str(refused.value)


@pytest.mark.parametrize("given", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_an_instant_beyond_the_calendar_could_not_be_read_back(given: str) -> None:
    with pytest.raises(ValidationError, match="the year must lie between 2 and 9998"):
        MOMENT.validate_python(given)
    assert MOMENT.validate_python("9998-12-31T23:59:59-14:00").year == 9998
