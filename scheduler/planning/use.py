"""Decayed use: what a user held of the lab, halved every half-life. SQL has the same in `models.statements.usage`."""

import math


def decayed(share: float, began_ago: float, ended_ago: float, half_life_seconds: float) -> float:
    """Use that counts now, in seconds of the whole lab, of a share held from `began_ago` to `ended_ago` seconds ago.

    Never more than `half_life_seconds / ln 2` for the whole lab held for ever.
    """
    rate = math.log(2) / half_life_seconds
    return share / rate * (math.exp(-rate * ended_ago) - math.exp(-rate * began_ago))


def aged(used_seconds: float, seconds: float, half_life_seconds: float) -> float:
    """The part of usage that still counts after this time."""
    return float(used_seconds * 2.0 ** (-seconds / half_life_seconds))


def committed(share: float, held_seconds: float, time_limit_seconds: float, foresight_seconds: float) -> float:
    """What a running job counts for: what it has held, and from its start at least the foresight of its limit."""
    return share * max(held_seconds, min(time_limit_seconds, foresight_seconds))
