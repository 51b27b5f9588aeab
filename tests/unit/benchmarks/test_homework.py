"""The cost of the homework is counted once for each run, and never as nothing where it was not measured."""

from benchmarks.homework import as_table, costs
from experiments.studies.plan import RunPlan


def test_shared_run_counts_for_its_first_question_and_an_unmeasured_one_for_none() -> None:
    runs = [
        RunPlan("e", {"n": n}, 0, questions) for n, questions in enumerate([("1b",), ("1a", "1b"), ("1b",), ("2a",)])
    ]
    found = costs(runs, [3.0, 1.0, 5.0, None])
    assert [(one.question, one.runs, one.cpu_seconds, one.longest_seconds) for one in found] == [
        ("1a", 1, 1.0, 1.0),
        ("1b", 2, 8.0, 5.0),
    ]
    assert as_table(found)[-1] == "| all | 3 | 9 | |"
