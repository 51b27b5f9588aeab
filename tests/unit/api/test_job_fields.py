"""Columns, orders and conditions as a client writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.problems import InvalidRequest
from api.job_table.fields import conditions, field, fields, orders, singles
from api.job_table.service import _named, _of_metric


@pytest.mark.parametrize(
    ("text", "root", "parts", "aggregate"),
    [
        ("seconds", "seconds", (), "last"),
        ("spec.lr", "spec", ("lr",), "last"),
        ('result."top 1"."a.b".c', "result", ("top 1", "a.b", "c"), "last"),
        (r'spec."say \"a\" \\"', "spec", (r'say "a" \\'.replace("\\\\", "\\"),), "last"),
        ("metric.train/loss", "metric", ("train/loss",), "last"),
        ("metric.val.loss.min", "metric", ("val.loss",), "min"),
        ("metric.val.max.last", "metric", ("val.max",), "last"),
        ("metric.max", "metric", ("max",), "last"),
        ("metric.loss.curve", "metric", ("loss",), "curve"),
    ],
)
def test_column_is_read(text: str, root: str, parts: tuple[str, ...], aggregate: str) -> None:
    found = field(text, "columns")
    assert (found.root, found.parts, found.aggregate) == (root, parts, aggregate)


@pytest.mark.parametrize(
    "text", ["", ".", "spec", "spec.", "lr", "name.first", "spec..a", "spec.a b", 'spec."a', "x" * 400]
)
def test_what_is_no_column_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        fields([text], "columns")


@pytest.mark.parametrize(
    ("text", "operator", "value"),
    [
        ("spec.a=1", "=", 1),
        ("spec.a >= 1e-3", ">=", 0.001),
        ("spec.a=true", "=", True),
        ("spec.a!=null", "!=", None),
        ('spec.a="true"', "=", "true"),
        ("spec.a=resnet 18", "=", "resnet 18"),
        ("spec.a=[1]", "=", "[1]"),
        ("spec.a=NaN", "=", "NaN"),
        ("spec.a=1e999", "=", "1e999"),
        ("spec.a~1", "~", "1"),
        ("spec.a=", "=", ""),
        ("spec.a=b=c", "=", "b=c"),
    ],
)
def test_condition_is_read(text: str, operator: str, value: object) -> None:
    (found,) = conditions([text])
    assert (found.field.text, found.operator, found.value) == ("spec.a", operator, value)
    assert type(found.value) is type(value)


@pytest.mark.parametrize(
    "text", ["spec.a", "spec.a==1", "spec.a<>1", "spec.a<null", "spec.a~", "=1", 'spec.a="\\u0000"', 'spec.a="\\ud800"']
)
def test_condition_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        conditions(["name=a", text])
    assert refusal.value.errors[0].path == "query.where.1"


def test_minus_before_a_column_sorts_downwards() -> None:
    up, down = orders(["spec.a-b", "-spec.a-b"])
    assert (up.descending, down.descending, up.field) == (False, True, down.field)


def test_curve_is_no_single_value() -> None:
    with pytest.raises(InvalidRequest):
        singles(["metric.loss.curve"], "by")


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=3
    )
)
def test_every_path_of_a_job_can_be_written_as_a_column(path: list[str]) -> None:
    name = _named("result", path)
    if len(name) <= 300:
        assert field(name, "columns").parts == tuple(path)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=100))
def test_every_metric_can_be_written_as_a_column(name: str) -> None:
    written = _of_metric(name)
    found = field(written, "columns")
    assert (found.parts, found.aggregate) == ((name,), "last")
