"""The table of moves: final means final, and every state can be reached."""

import re
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gpulab.states import ACTIVE_STATES, CAUSE_WORDS, FINAL_STATES, MOVES, STATE_WORDS, JobState, sources


def test_every_state_is_in_the_table() -> None:
    assert MOVES.keys() == set(JobState)


def test_final_states_lead_nowhere_and_all_others_can_end() -> None:
    assert all(MOVES[state] == frozenset() for state in FINAL_STATES)
    assert all(MOVES[state] & FINAL_STATES for state in set(JobState) - FINAL_STATES)


def test_sources_are_the_moves_read_backwards() -> None:
    for target in JobState:
        assert sources(target) == {state for state in JobState if target in MOVES[state]}


def test_nothing_runs_without_a_lease() -> None:
    assert sources(JobState.RUNNING) == {JobState.LEASED}
    assert sources(JobState.SUCCEEDED) == {JobState.RUNNING}
    assert sources(JobState.QUEUED) == ACTIVE_STATES


def test_dashboard_uses_the_words_of_the_terminal() -> None:
    words = (Path(__file__).parents[2] / "dashboard/src/api/states.ts").read_text()
    states, causes = (
        dict(re.findall(r'^  (\w+): "([\w ]+)",$', table, re.MULTILINE)) for table in words.split("CAUSE_WORDS")
    )
    assert states == {state: word.capitalize() for state, word in STATE_WORDS.items()}
    assert causes == CAUSE_WORDS


class Life(RuleBasedStateMachine):
    """A job that random processes move through its states."""

    def __init__(self) -> None:
        super().__init__()
        self.state = JobState.QUEUED
        self.ended: JobState | None = None

    @rule(target_state=st.sampled_from(JobState))
    def push(self, target_state: JobState) -> None:
        if self.state in sources(target_state):
            self.state = target_state
        if self.state in FINAL_STATES and self.ended is None:
            self.ended = self.state

    @invariant()
    def finished_jobs_never_move(self) -> None:
        assert self.ended is None or self.state is self.ended


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=50, stateful_step_count=30)
