"""Images of several steps are one, with a slider."""

from tests.unit.dashboard.scripts import run_module

STEPS = """
return module.inSteps(given.map((name) => ({ name })))
  .map(({ name, steps }) => [name, steps.map(({ step, image }) => [step, image.name])]);
"""


def test_images_that_differ_in_their_last_number_are_steps_in_its_order() -> None:
    given = ["run2/epoch-10.png", "run2/epoch-9.png", "curve.png", "other-1.png", "run3/epoch-9.png", "v2_map.png"]
    assert run_module("pages/job/files/image-steps.ts", STEPS, given) == [
        ["run2/epoch-….png", [[9, "run2/epoch-9.png"], [10, "run2/epoch-10.png"]]],
        ["curve.png", [[0, "curve.png"]]],
        ["other-1.png", [[1, "other-1.png"]]],
        ["run3/epoch-9.png", [[9, "run3/epoch-9.png"]]],
        ["v2_map.png", [[2, "v2_map.png"]]],
    ]


def test_no_images_have_no_steps() -> None:
    assert run_module("pages/job/files/image-steps.ts", STEPS, []) == []
