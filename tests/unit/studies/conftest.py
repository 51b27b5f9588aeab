"""Finished runs to judge."""

from tests.study_runs import finished

__all__ = ["finished"]
