"""Fields of a spec and of a result come as the experiment declares them, whatever the database makes of them."""

from api.experiments.service import in_order
from experiments.registry import experiments


def test_declared_fields_come_first_and_others_by_name() -> None:
    declared = list(experiments()["dropout-linear"].spec.model_fields)
    given = dict.fromkeys(sorted(declared, key=lambda name: (len(name), name)), 1) | {"zebra": 2, "ant": 3}
    found = in_order("dropout-linear", given, part="spec")
    assert list(found) == [*declared, "ant", "zebra"]
    assert found == given


def test_what_no_experiment_declares_is_ordered_by_name() -> None:
    assert list(in_order("gone", {"loss": 1, "accuracy": 2}, part="result")) == ["accuracy", "loss"]
    assert in_order("dropout-linear", {}, part="result") == {}
