"""What a column is in SQL: its value as `jsonb`, how it is sorted, compared and summed up."""

import operator
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Double,
    Integer,
    Numeric,
    Text,
    and_,
    case,
    cast,
    extract,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from api.job_table.fields import METRIC, NESTED, Condition, Field
from models.tables.job import Job
from models.tables.series import MetricChunk
from models.tables.user import User

NUMBER, WORDS, TRUTH, NOTHING = range(4)
"""Kinds of values, in the order in which they are sorted upwards; what has no value is last both ways."""
MAX_SUMMED = 1e300
"""Larger numbers would end a mean in an overflow."""
SORTED_CHARACTERS = 100
"""Texts are sorted by their beginnings."""
_NOT_FINITE = [cast(literal_column(f"'{name}'"), Double) for name in ("NaN", "Infinity", "-Infinity")]
_COMPARISONS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
Position = Sequence[tuple[int, str, str]]
"""For each order: kind, number and text of the last row of the page before."""


def value_of(one: Field, held: Sequence[str]) -> ColumnElement[Any]:
    """The number, text or truth of a field as `jsonb`; null where a job has none, or one of another kind."""
    raw = _raw(one)
    if held and one.is_answer:
        raw = case((Job.experiment.not_in(list(held)), raw))
    # OFFSET 0 keeps it from being computed once for each place that it stands in: a result may be large.
    once = select(raw.label("raw")).correlate(Job, User).offset(0).lateral()
    is_scalar = func.jsonb_typeof(once.c.raw).in_(["number", "string", "boolean"])
    return select(case((is_scalar, once.c.raw))).select_from(once).scalar_subquery()


def _raw(one: Field) -> ColumnElement[Any]:
    if one.root in NESTED:
        source = Job.spec if one.root == "spec" else Job.result
        return func.jsonb_extract_path(source, *(literal(part, Text) for part in one.parts), type_=JSONB)
    if one.root == METRIC:
        return func.to_jsonb(_metric(one.parts[0], one.aggregate), type_=JSONB)
    if one.root == "owner":
        return func.to_jsonb(User.name, type_=JSONB)
    if one.root == "seconds":
        span = extract("epoch", func.coalesce(Job.finished_at, func.now()) - Job.started_at)
        return func.to_jsonb(func.round(span, 1), type_=JSONB)
    return func.to_jsonb(Job.__table__.c[one.root], type_=JSONB)


def _metric(name: str, aggregate: str) -> ColumnElement[float]:
    """Null where it is no finite number, which `jsonb` would hold as text."""
    own = and_(MetricChunk.job_id == Job.id, MetricChunk.name == literal(name, Text))
    if aggregate == "last":
        values = MetricChunk.__table__.c["values"]
        last = cast(values[func.cardinality(values)], Double)
        newest = select(case((last.not_in(_NOT_FINITE), last)))
        return newest.where(own).order_by(MetricChunk.id.desc()).limit(1).correlate(Job).scalar_subquery()
    points = func.unnest(MetricChunk.values).table_valued("value", name="point").render_derived().lateral()
    value = cast(points.c.value, Double)
    of_all = func.min(value) if aggregate == "min" else func.max(value)
    finite = value.not_in(_NOT_FINITE)
    return select(of_all).select_from(MetricChunk).join(points, finite).where(own).correlate(Job).scalar_subquery()


def text_of(value: ColumnElement[Any]) -> ColumnElement[str]:
    """A scalar of `jsonb` as text, without quotes."""
    return value.op("#>>", return_type=Text())(literal_column("'{}'::text[]"))


def _number_of(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((func.jsonb_typeof(value) == "number", cast(value, Numeric)))


def sort_keys(value: ColumnElement[Any], *, descending: bool) -> list[tuple[ColumnElement[Any], bool]]:
    """What a value is sorted by, none of it null, and whether it descends: kind, number, beginning of the text."""
    kind = func.jsonb_typeof(value)
    kinds = {"number": NUMBER, "string": WORDS, "boolean": TRUTH}
    rank = case(*((kind == name, literal_column(str(at))) for name, at in kinds.items()), else_=literal_column("3"))
    truth = case((kind == "boolean", cast(cast(value, Boolean), Integer)), else_=0)
    number = func.coalesce(_number_of(value), cast(truth, Numeric))
    beginning = func.left(func.lower(text_of(value)), SORTED_CHARACTERS)
    words = func.coalesce(case((kind == "string", beginning)), "").collate("C")
    return [(rank, False), (number, descending), (words, descending)]


def is_behind(keys: Sequence[tuple[ColumnElement[Any], bool]], last: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a row comes after the last one in the order of the keys."""
    (key, descends), at = keys[0], last[0]
    further = key < at if descends else key > at
    return further if len(keys) == 1 else or_(further, and_(key == at, is_behind(keys[1:], last[1:])))


def bound(position: Position) -> list[Any]:
    return [
        bound
        for kind, number, words in position
        for bound in (literal(kind, Integer), cast(literal(number, Text), Numeric), literal(words, Text))
    ]


def is_met(value: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    """As a condition is written: numbers compare with numbers and texts with texts; other kinds do not meet it."""
    wanted = condition.value
    kind = func.jsonb_typeof(value)
    if condition.operator == "~":
        return func.strpos(func.lower(text_of(value)), func.lower(literal(wanted, Text))) > 0
    if wanted is None:
        return value.is_(None) if condition.operator == "=" else value.is_not(None)
    if isinstance(wanted, bool):
        found = case((kind == "boolean", cast(value, Boolean) == wanted), else_=false())
    elif isinstance(wanted, str):
        words = text_of(value).collate("C")
        found = case((kind == "string", _compared(words, condition.operator, literal(wanted, Text))), else_=false())
    else:
        number = cast(literal(str(wanted), Text), Numeric)
        found = case((kind == "number", _compared(cast(value, Numeric), condition.operator, number)), else_=false())
    return not_(found) if condition.operator == "!=" else found


def _compared(left: Any, sign: str, right: Any) -> ColumnElement[bool]:
    """`!=` is the opposite of `=`, so that it finds what has no such value too."""
    found: ColumnElement[bool] = _COMPARISONS.get(sign, _COMPARISONS["="])(left, right)
    return found


def statistics_of(value: ColumnElement[Any], at: int) -> list[ColumnElement[Any]]:
    number = _number_of(value)
    measured = case((func.abs(number) < MAX_SUMMED, cast(number, Double)))
    functions: dict[str, Any] = {
        "n": func.count,
        "mean": func.avg,
        "sd": func.stddev_samp,
        "min": func.min,
        "max": func.max,
    }
    return [function(measured).label(f"{name}_{at}") for name, function in functions.items()]
