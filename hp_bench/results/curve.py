"""A curve: the scorecards of a method, in the order of their optimiser steps."""

from dataclasses import dataclass

from hp_bench.results.compare import require_comparable
from hp_bench.results.scorecard import Measurement, Scorecard


@dataclass(frozen=True)
class Curve:
    """A method's scorecards, in the order of their steps; the first is the baseline's, step 0, where a baseline was given."""

    name: str
    points: tuple[Scorecard, ...]

    def __post_init__(self) -> None:
        steps = [point.step for point in self.points]
        if None in steps or steps != sorted(set(steps)):  # type: ignore[type-var]
            raise ValueError(f"curve {self.name!r}: its points need distinct, rising steps, not {steps}")
        require_comparable(self.points)

    def series(self, task: str, metric: str) -> list[tuple[int, Measurement]]:
        """(step, measurement) of the points that have that number."""
        measured = [(point.step or 0, point.find(task, metric)) for point in self.points]
        return [(step, m) for step, m in measured if m is not None and m.value is not None]
