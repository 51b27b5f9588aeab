"""The numbers of the explanations are those of the emulated T4 and of the sheet's own rows."""

import numpy as np

from benchmarks.render_memory import measured, slope
from homework.questions import explanations
from homework.questions.batches import MAX_LARGEST, MIN_LARGEST
from homework.questions.memory import PARAMETER_BYTES

MIB = 1 << 20
SECONDS = {4: 386, 16: 250, 64: 244, 256: 235}
PICTURES = 9 * 4096


def test_gaps_are_those_of_the_emulated_card() -> None:
    rows = measured()["sheet"]["optimizers"]
    first = [row["reserved_after_step_mib"] for row in rows]
    second = [row["reserved_after_second_step_mib"] for row in rows]
    gaps, later = (f"{b - a} and {c - b} MiB" for a, b, c in (first, second))
    assert f"gives {gaps} too" in explanations.WHY_82_AND_84
    assert f"then {later} apart" in explanations.WHY_THE_SECOND_STEP
    assert round(PARAMETER_BYTES / MIB) == 222
    assert 814 - 222 == measured()["sheet"]["context_mib"] == 592


def test_slopes_are_those_of_the_emulated_card() -> None:
    sheet = measured()["sheet"]["batches"]
    assert round(slope(sheet, "sheet_device_mib")) == 31
    assert round(slope(sheet, "peak_reserved_mib")) == 30
    assert round(slope(sheet, "forward_allocated_mib")) == round(slope(sheet, "peak_allocated_mib")) == 21
    assert "31 MiB an image where activations grow by 21" in explanations.WHY_31
    assert "reserves 30 MiB more for each image" in explanations.WHY_31
    assert round(MIN_LARGEST) in {452, 453}
    assert round(MAX_LARGEST) == 704


def test_times_are_a_line_in_the_number_of_steps() -> None:
    steps = np.array([PICTURES / batch for batch in SECONDS])
    a_step, fixed = np.polyfit(steps, list(SECONDS.values()), 1)
    told = f"{1000 * a_step:.0f} ms a step and {1000 * fixed / PICTURES:.1f} ms an image"
    assert told in explanations.WHY_256
    furthest = max(abs(fixed + a_step * steps - np.array(list(SECONDS.values()))))
    assert f"within {furthest:.0f} s of each" in explanations.WHY_256
    assert f"4 pays {a_step * steps[0]:.0f} s" in explanations.WHY_256
    assert f"256 pays {a_step * steps[-1]:.0f} s" in explanations.WHY_256
