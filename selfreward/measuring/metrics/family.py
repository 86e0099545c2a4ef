"""Metrics that answer one question about a run."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """`metrics` maps each metric to what it is called for people, in the order in which it is shown."""

    name: str
    question: str
    metrics: Mapping[str, str]
