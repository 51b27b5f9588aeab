"""How the async classes follow the sync ones."""

import inspect
from collections.abc import Callable
from typing import TypeVar

C = TypeVar("C")


def documented_as(sync: type) -> Callable[[type[C]], type[C]]:
    """Give each method the docstring of its twin; a test holds the signatures together."""

    def copy(mirror: type[C]) -> type[C]:
        for name, method in vars(mirror).items():
            if inspect.isfunction(method) and not method.__doc__:
                method.__doc__ = getattr(getattr(sync, name, None), "__doc__", None)
        return mirror

    return copy
