"""What several questions share: the data set of their images, and the scale that a pattern needs."""

from collections.abc import Sequence

from experiments.studies.findings import Least
from experiments.studies.plan import RunPlan, Scale
from experiments.studies.question import Setting

CIFAR10 = "cifar10"
DIGITS = "digits"
PATTERN_OF_TRAININGS = Least(
    scale=Scale.CPU, because="it is a pattern over several trainings that have learnt; here are two, cut short"
)


def images_of(setting: Setting) -> str:
    """CIFAR-10 if the lab has it, else the digits that every node has."""
    return CIFAR10 if CIFAR10 in setting.datasets else DIGITS


def notes_on_images(setting: Setting, runs: Sequence[RunPlan]) -> Sequence[str]:
    """Says where the digits replace CIFAR-10."""
    replaced = images_of(setting) == DIGITS and any(run.spec.get("dataset") == DIGITS for run in runs)
    if not replaced:
        return ()
    return ("No node has CIFAR-10. The scikit-learn digits replaced it: numbers differ, and only patterns count.",)
