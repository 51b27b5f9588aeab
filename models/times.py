"""Moments by the clock of the database. Seconds may be a number or a parameter."""

from typing import Any

from sqlalchemy import ColumnElement, Interval, func


def ago(seconds: Any) -> ColumnElement[Any]:
    return func.now() - _interval(seconds)


def from_now(seconds: Any) -> ColumnElement[Any]:
    return func.now() + _interval(seconds)


def _interval(seconds: Any) -> ColumnElement[Any]:
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds, type_=Interval)
