"""One way to run a statement: `run(connection, leases.claim, lease_token=token, …)`.

Composing a statement costs more than running it. So a function of `models/statements`, or of a noun of the API, is
called with parameters in the place of its arguments, once for every set of arguments that is given, and the values go
along. The API runs the same statements on its own connections (`api.sql.database`).
"""

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from types import NoneType, UnionType
from typing import Any, Generic, ParamSpec, Union, get_args, get_origin, get_type_hints, overload
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Connection,
    CursorResult,
    DateTime,
    Executable,
    Float,
    Interval,
    LargeBinary,
    Text,
    Uuid,
    bindparam,
)

P = ParamSpec("P")
TYPES: Mapping[type, Any] = {
    str: Text(),
    UUID: Uuid(),
    float: Float(53),
    bool: Boolean(),
    bytes: LargeBinary(),
    datetime: DateTime(timezone=True),
    timedelta: Interval(),
}
"""Of parameters, by the annotation of the argument. Others take the type of what they are compared with."""


PREFIX = "given_"
"""No column begins so: a parameter with the name of a column would be taken for its new value."""


class Statement(Generic[P]):
    """A function that composes SQL. Called, it does so with the values themselves, as a part of another statement."""

    def __init__(self, function: Callable[P, Any], shape: tuple[str, ...], *, anew: bool) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        self._shape = shape
        self._anew = anew
        self._composed: dict[Hashable, Executable] = {}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"{self.function.__module__}.{self.function.__name__}"

    def key(self, given: Mapping[str, Any]) -> Hashable | None:
        """What is the same for two calls that run the same SQL; None where every call has its own."""
        if self._anew:
            return None
        return frozenset(self._bound(given)), tuple(given.get(name) for name in self._shape)

    def composed(self, given: Mapping[str, Any]) -> Any:
        """The SQL, in which `values` have their places."""
        key = self.key(given)
        if key is None:
            return self._call(given)
        found = self._composed.get(key)
        if found is None:
            shape = {name: given[name] for name in self._shape if name in given}
            places = {
                name: bindparam(PREFIX + name, type_=self._types.get(name), required=False)
                for name in self._bound(given)
            }
            found = self._composed[key] = self._call(shape | places)
        return found

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the parameters. None counts as left out, where an argument may be left out."""
        return {} if self._anew else {PREFIX + name: given[name] for name in self._bound(given)}

    def _bound(self, given: Mapping[str, Any]) -> list[str]:
        return [
            name
            for name, value in given.items()
            if name not in self._shape and (value is not None or name in self._required)
        ]

    def _call(self, given: Mapping[str, Any]) -> Any:
        return self.function(**given)  # type: ignore[call-arg] # checked where it is run

    @cached_property
    def _required(self) -> frozenset[str]:
        parameters = inspect.signature(self.function).parameters.values()
        return frozenset(one.name for one in parameters if one.default is inspect.Parameter.empty)

    @cached_property
    def _types(self) -> dict[str, Any]:
        hints = get_type_hints(self.function)
        return {name: found for name, hint in hints.items() if (found := _type_of(hint)) is not None}


@overload
def statement(function: Callable[P, Any], /) -> Statement[P]: ...


@overload
def statement(*, shape: tuple[str, ...] = (), anew: bool = False) -> Callable[[Callable[P, Any]], Statement[P]]: ...


def statement(function: Any = None, /, *, shape: tuple[str, ...] = (), anew: bool = False) -> Any:
    """Make a statement of a function whose arguments are values.

    `shape` names arguments that the SQL itself depends on, such as a state; they have few values. `anew` is for what
    no two calls have alike, such as the columns of a change: it is composed at every call.
    """
    if function is not None:
        return Statement(function, (), anew=False)
    return lambda decorated: Statement(decorated, shape, anew=anew)


def run(
    connection: Connection, statement: Statement[P], /, *args: P.args, **kwargs: P.kwargs
) -> CursorResult[*tuple[Any, ...]]:
    """Run a statement, its arguments by name."""
    if args:
        raise TypeError(f"name the arguments of {statement!r}")
    return connection.execute(statement.composed(kwargs), statement.values(kwargs))


def run_many(connection: Connection, statement: Statement[[]], rows: Sequence[Mapping[str, Any]]) -> None:
    """Run a statement that takes a row, for each of many."""
    connection.execute(statement.composed({}), list(rows))


def _type_of(hint: Any) -> Any:
    members = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    alone = [one for one in members if one is not NoneType]
    if len(alone) != 1 or not isinstance(alone[0], type):
        return None
    return next((kind for python, kind in TYPES.items() if issubclass(alone[0], python)), None)
