"""The question set that the entry point `gpulab.studies` names: the homework's questions, in its order."""

from experiments.studies.question_set import Part, QuestionSet
from homework.questions.bands_data import DATA_QUESTIONS
from homework.questions.bands_prior import PRIOR_QUESTIONS
from homework.questions.batches import BATCH_QUESTIONS
from homework.questions.cheating import CHEATING_QUESTIONS
from homework.questions.gradients import GRADIENT_QUESTIONS
from homework.questions.linear_exact import EXACT_QUESTIONS
from homework.questions.linear_noise import NOISE_QUESTIONS
from homework.questions.linear_sweeps import SWEEP_QUESTIONS
from homework.questions.memory import MEMORY_QUESTIONS
from homework.questions.ridge import RIDGE_QUESTIONS
from homework.shared import notes_on_images

DROPOUT_QUESTIONS = (*EXACT_QUESTIONS, *NOISE_QUESTIONS, *SWEEP_QUESTIONS, *CHEATING_QUESTIONS)

COURSE = QuestionSet(
    slug="course",
    title="The whole homework",
    parts=(
        Part("1", "Understanding dropout", DROPOUT_QUESTIONS),
        Part("2", "Dropout and ridge regression", tuple(RIDGE_QUESTIONS)),
        Part("3", "Weights and gradients in a CNN", tuple(GRADIENT_QUESTIONS)),
        Part("4", "Inductive bias of convolutions", (*DATA_QUESTIONS, *PRIOR_QUESTIONS)),
        Part("5", "Memory on GPUs", (*MEMORY_QUESTIONS, *BATCH_QUESTIONS)),
    ),
    notes=notes_on_images,
    shown_once=frozenset(
        {"samples", "kernels_before", "kernels_after", "gradient", "noisy_image", "pooled_max", "pooled_average"}
    ),
)
