"""The questions of the homework, in its order."""

from types import MappingProxyType

from experiments.studies.course.bands_data import DATA_QUESTIONS
from experiments.studies.course.bands_prior import PRIOR_QUESTIONS
from experiments.studies.course.batches import BATCH_QUESTIONS
from experiments.studies.course.cheating import CHEATING_QUESTIONS
from experiments.studies.course.gradients import GRADIENT_QUESTIONS
from experiments.studies.course.linear_exact import EXACT_QUESTIONS
from experiments.studies.course.linear_noise import NOISE_QUESTIONS
from experiments.studies.course.linear_sweeps import SWEEP_QUESTIONS
from experiments.studies.course.memory import MEMORY_QUESTIONS
from experiments.studies.course.ridge import RIDGE_QUESTIONS

QUESTIONS = MappingProxyType(
    {
        question.slug: question
        for question in (
            *(*EXACT_QUESTIONS, *NOISE_QUESTIONS, *SWEEP_QUESTIONS, *CHEATING_QUESTIONS),
            *RIDGE_QUESTIONS,
            *GRADIENT_QUESTIONS,
            *(*DATA_QUESTIONS, *PRIOR_QUESTIONS),
            *(*MEMORY_QUESTIONS, *BATCH_QUESTIONS),
        )
    }
)
"""Every question by its slug."""
