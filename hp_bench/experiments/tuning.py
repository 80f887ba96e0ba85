"""Which setting of a row is taken: the same budget and the same rule for all rows, on seed 0 alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import yaml
from rich.text import Text

from hp_bench.report.tables import table, wrapped

#: A candidate has forgotten if its familiarity is at most this share of the baseline's.
FORGOTTEN = 0.1


@dataclass(frozen=True)
class Candidate:
    """A checkpoint of a setting that was tried.

    Attributes:
        row: name.
        setting: dotted recipe keys -> values.
        step: of the checkpoint; None where the run failed.
        familiarity: 0 to 5, lower = less familiar; None where the run failed.
        kl_target: mean over twins of KL(twin || model) on the target, nats a token.
        kl_rest: on the rest.
        failure: why there are no numbers; "" if there are.
    """

    row: str
    setting: Mapping[str, Any]
    step: int | None = None
    familiarity: float | None = None
    kl_target: float | None = None
    kl_rest: float | None = None
    failure: str = ""

    @property
    def distance(self) -> float:
        """KL on target and rest together, nats a token."""
        assert self.kl_target is not None and self.kl_rest is not None
        return self.kl_target + self.kl_rest

    @property
    def chosen(self) -> dict[str, Any]:
        """As the rows' file has it."""
        return {**self.setting, "step": self.step}


def best(candidates: Sequence[Candidate], baseline_familiarity: float) -> Candidate | None:
    """Of a row's candidates that have forgotten, the one nearest to the twins on target and rest together; if none has, the least familiar,
    the nearer one where several are; None where all failed.
    """

    def rank(one: Candidate) -> tuple[float, float]:
        familiarity = one.familiarity or 0.0
        return 0.0 if familiarity <= FORGOTTEN * baseline_familiarity else familiarity, one.distance

    return min((one for one in candidates if one.familiarity is not None), key=rank, default=None)


@dataclass(frozen=True)
class Choices:
    """The baseline's own numbers and all candidates, in the order of rows, settings and steps; and which of them was taken."""

    baseline: Candidate
    candidates: tuple[Candidate, ...]

    def taken(self) -> dict[str, Candidate | None]:
        """Row -> its candidate; None where all failed."""
        by_row: dict[str, list[Candidate]] = {}
        for one in self.candidates:
            by_row.setdefault(one.row, []).append(one)
        return {row: best(each, self.baseline.familiarity or 0.0) for row, each in by_row.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        taken = {row: one.chosen if one else None for row, one in self.taken().items()}
        return {
            "baseline": asdict(self.baseline), "forgotten_at": FORGOTTEN * (self.baseline.familiarity or 0.0), "chosen": taken,
            "candidates": [asdict(one) for one in self.candidates],
        }  # fmt: skip

    def to_yaml(self) -> str:
        """What belongs under `chosen` in the rows' file."""
        one_line = partial(yaml.safe_dump, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
        return "".join(
            f"  {row}:\n    chosen: {one_line(one.chosen)}" if one else f"  {row}:  # every setting failed\n"
            for row, one in self.taken().items()
        )

    def table(self) -> Text:
        """Every candidate on a line, the one taken marked."""
        taken = {id(one) for one in self.taken().values() if one}
        groups: dict[str, list[tuple[str, ...]]] = {}
        for one in (self.baseline, *self.candidates):
            words = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in one.setting.items())
            if one.familiarity is None:
                row = (wrapped(f"{words} failed: {one.failure}"), *[""] * 6)
            else:
                numbers = f"{one.familiarity:.2f}", f"{one.kl_target:.3f}", f"{one.kl_rest:.3f}", f"{one.distance:.3f}"
                row = (words, str(one.step or ""), *numbers, "chosen" * (id(one) in taken))
            groups.setdefault(one.row, []).append(row)
        return table(("setting", "step", "familiarity", "KL target", "KL rest", "sum", ""), groups)
