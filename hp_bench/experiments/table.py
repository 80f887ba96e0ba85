"""The leaderboard: rows over seeds, who is nearest to the twins and whether that is a tie, as JSON and as a page of Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from hp_bench.experiments.findings import PANEL, STRESS, Finding
from hp_bench.experiments.store import MINIATURE, RowScore
from hp_bench.experiments.tuning import FORGOTTEN
from hp_bench.report.tables import table
from hp_bench.results.statistics import CONFIDENCE, Interval, mean_interval

#: Number -> heading and digits, in the table's order.
COLUMNS: Mapping[str, tuple[str, int]] = {
    "familiarity": ("familiarity (0 to 5)", 2),
    "token_probability": ("token probability (0 to 1)", 3),
    "utility_drop": ("utility drop (points)", 1),
    "rest_change": ("loss on the rest (change, nats)", 3),
    "kl_target": ("KL target (nats a token)", 3),
    "kl_rest": ("KL rest (nats a token)", 3),
    "ks_target": ("KS target (0 to 1)", 2),
}

#: The same on a real model.
REAL_COLUMNS: Mapping[str, tuple[str, int]] = {
    **COLUMNS,
    "utility_drop": ("neighbours' drop (points of choice accuracy)", 1),
    "rest_change": ("general English (change, bits a byte)", 3),
}


@dataclass(frozen=True)
class Spread:
    """A number over seeds."""

    mean: float
    smallest: float
    largest: float


@dataclass(frozen=True)
class Entry:
    """A row over seeds.

    Attributes:
        name: of the row.
        label: words for the table.
        setting: the one chosen: dotted recipe keys -> values, and `step`; empty for baseline and twins.
        steps: optimiser steps to the checkpoint; None where nothing is fine-tuned.
        scores: by seed.
        of: an ablation: the row whose setting it keeps, nothing of its own having been tried.
    """

    name: str
    label: str
    setting: Mapping[str, Any]
    steps: int | None
    scores: tuple[RowScore, ...]
    of: str = ""

    @property
    def failure(self) -> str:
        """Why it has no numbers: it failed with some seed; "" if it has."""
        return "; ".join(f"seed {one.seed}: {one.failure}" for one in self.scores if one.failure)

    @property
    def broken(self) -> tuple[int, ...]:
        """Seeds whose model counts as broken (degenerate)."""
        return tuple(one.seed for one in self.scores if one.broken)

    @property
    def reference(self) -> bool:
        """Whether it is baseline or twin, rather than a method."""
        return not self.setting

    def spread(self, number: str) -> Spread | None:
        """Mean, smallest and largest over seeds; None where it failed."""
        if self.failure:
            return None
        values = [one.numbers[number].value for one in self.scores]
        return Spread(float(np.mean(values)), min(values), max(values))

    def forgot(self, baseline: "Entry | None") -> bool:
        """Whether familiarity is at most a tenth of the baseline's on every seed; without a baseline, true."""
        if baseline is None or baseline.failure or self.failure:
            return True
        each = zip(self.scores, baseline.scores, strict=True)
        return all(a.numbers["familiarity"].value <= FORGOTTEN * b.numbers["familiarity"].value for a, b in each)

    @property
    def distance(self) -> float:
        """KL on target and rest together, mean over seeds: what rows are sorted by; infinite where it failed."""
        kl = [self.spread(number) for number in ("kl_target", "kl_rest")]
        return sum(one.mean if one else float("inf") for one in kl)


@dataclass(frozen=True)
class Lead:
    """The nearest row against another, on one kind of text.

    Attributes:
        text: target or rest.
        first: the row nearest to the twins there.
        other: another.
        difference: how much farther the other is: mean over texts and seeds of the paired difference of KL, nats a token.
        low, high: the ends of its 95 % interval (bootstrap over seeds, and over the texts of each).
        between_twins: KL of two twins there, mean over seeds.
    """

    text: str
    first: str
    other: str
    difference: float
    low: float
    high: float
    between_twins: float

    @property
    def tie(self) -> bool:
        """Whether the lead is no larger than what two twins differ by, or may be none at all."""
        return self.low <= 0 or self.difference <= self.between_twins


@dataclass(frozen=True)
class Leaderboard:
    """All rows, the nearest first.

    Attributes:
        entries: methods by distance, failed ones last, then baseline and twins.
        seeds: of the runs.
        between: kl_target, kl_rest, ks_target of two twins, mean over seeds.
        leads: on target and rest, the nearest row against every other; broken rows are left out, and those that have not forgotten: to do
            nothing is nearest on the rest.
        not_forgotten: rows left out of `leads` for that.
        findings: of panel and stress, where these were asked for.
        model: miniature, or the real model's name.
    """

    entries: tuple[Entry, ...]
    seeds: tuple[int, ...]
    between: Mapping[str, float]
    leads: tuple[Lead, ...]
    not_forgotten: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    model: str = MINIATURE

    @classmethod
    def of(cls, entries: Sequence[Entry], findings: Sequence[Finding] = (), model: str = MINIATURE) -> "Leaderboard":
        """Sorts rows and compares them; the entries all have the same seeds."""
        ordered = sorted(entries, key=lambda one: (one.reference, one.distance, one.name))
        seeds = tuple(one.seed for one in entries[0].scores)
        by_seed = {score.seed: score.between for one in reversed(entries) for score in one.scores if score.between}
        twins = [by_seed[seed] for seed in seeds if seed in by_seed]
        between = {key: float(np.mean([one[key] for one in twins])) for key in (twins[0] if twins else ())}
        baseline = next((one for one in ordered if one.name == "baseline"), None)
        sane = [one for one in ordered if not (one.reference or one.failure or one.broken)]
        methods = [one for one in sane if one.forgot(baseline)]
        not_forgotten = tuple(one.name for one in sane if one not in methods)
        compared: list[Lead] = []
        for text in ("target", "rest"):
            each = {one.name: [score.texts[text] for score in one.scores] for one in methods}
            compared += leads(each, text, between.get(f"kl_{text}", 0.0))
        return cls(tuple(ordered), seeds, between, tuple(compared), not_forgotten, tuple(findings), model)

    @property
    def columns(self) -> Mapping[str, tuple[str, int]]:
        """Number -> heading and digits."""
        return COLUMNS if self.model == MINIATURE else REAL_COLUMNS

    @property
    def failed(self) -> bool:
        """Whether any row failed, or panel or stress of one."""
        return any(one.failure for one in self.entries) or any(one.failure for one in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; the same run, the same values."""
        return {
            "format": 1, **({} if self.model == MINIATURE else {"model": self.model}), "seeds": list(self.seeds),
            "between_twins": dict(self.between),
            "leads": [{**asdict(one), "tie": one.tie} for one in self.leads], "not_forgotten": list(self.not_forgotten),
            "rows": [self._row(one) for one in self.entries],
            **({"left": [one.to_dict() for one in self.findings]} if self.findings else {}),
        }  # fmt: skip

    @staticmethod
    def _row(entry: Entry) -> dict[str, Any]:
        numbers = () if entry.failure else tuple(entry.scores[0].numbers)
        spreads = {number: spread for number in numbers if (spread := entry.spread(number)) is not None}
        return {
            "name": entry.name, "label": entry.label, "setting": dict(entry.setting), "steps": entry.steps,
            **({"of": entry.of} if entry.of else {}),
            "failure": entry.failure, "numbers": {number: asdict(spread) for number, spread in spreads.items()},
            "seeds": [
                {
                    "seed": one.seed, "failure": one.failure, "broken": one.broken,
                    "numbers": {number: asdict(value) for number, value in one.numbers.items()},
                }
                for one in entry.scores
            ],
        }  # fmt: skip


def to_markdown(board: Leaderboard, *, speeds: Mapping[str, float | None], date: str) -> str:
    """The page: the table, what it says of who is nearest, what panel and stress found, and the settings.

    `speeds`: row -> tokens of the target a second of the fine-tune, None where nothing is fine-tuned; `date`: of the last measurement.
    """
    source = Path(__file__).with_name("leaderboard.md.j2").read_text(encoding="utf-8")
    template = jinja2.Template(source, trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    found = list(dict.fromkeys((one.kind, key) for one in board.findings for key in one.found))
    counts = {one.name: counted for one in board.entries if (counted := _counts(board, one.name, found))}
    sound = [one for one in board.findings if not one.failure]
    asked = {kind: _range([one.asked for one in sound if one.kind == kind]) for kind in (PANEL, STRESS)}
    return template.render(board=board, cell=_cell, speeds=speeds, date=date, found=found, counts=counts, asked=asked)


def to_text(board: Leaderboard) -> Text:
    """The numbers that rows are sorted and judged by, for a terminal: means over seeds."""
    shown = ("familiarity", "utility_drop", "kl_target", "kl_rest")
    rows = []
    for entry in board.entries:
        spreads = [entry.spread(number) for number in shown]
        cells = [
            f"{s.mean:.{board.columns[number][1]}f}" if s else "" for number, s in zip(shown, spreads, strict=True)
        ]
        amiss = " failed" if entry.failure else " broken" if entry.broken and not entry.reference else ""
        rows.append((entry.name + amiss, *cells))
    headings = [board.columns[number][0].partition(" (")[0] for number in shown]
    seeds = f"mean of seeds {', '.join(map(str, board.seeds))}" if len(board.seeds) > 1 else f"seed {board.seeds[0]}"
    return table(("row", *headings), {"": rows}, caption=f"{seeds}; lower is better; nearest to the twins first")


def _cell(spread: Spread, digits: int) -> str:
    values = spread.mean, spread.smallest, spread.largest
    mean, smallest, largest = (f"{round(value, digits) + 0.0:.{digits}f}" for value in values)
    return mean if spread.smallest == spread.largest else f"{mean} [{smallest}, {largest}]"


def _counts(board: Leaderboard, name: str, columns: Sequence[tuple[str, str]]) -> list[str]:
    """A row's counts in every column, seed by seed; none where neither panel nor stress was asked of it."""
    mine = {(one.kind, one.seed): one for one in board.findings if one.name == name}
    each = [
        [mine[kind, seed].count(key) if (kind, seed) in mine else "-" for seed in board.seeds] for kind, key in columns
    ]
    return ["-" if set(cell) == {"-"} else " / ".join(cell) for cell in each] if mine else []


def _range(counts: Sequence[int]) -> str:
    ends = sorted({min(counts), max(counts)}) if counts else []
    return " to ".join(map(str, ends))


#: Nats a token; for an interval's end where all texts agree.
_LARGEST = 30.0

_RESAMPLES = 9999


def leads(each: Mapping[str, Sequence[Sequence[float]]], text: str, between_twins: float) -> list[Lead]:
    """The nearest row on a kind of text (target or rest) against every other, the smallest lead first.

    `each`: row -> for each seed KL(twin || model) of every text, nats a token, all rows on the same texts; `between_twins`: of two twins.
    """
    kl = {name: [np.asarray(one, dtype=np.float64) for one in seeds] for name, seeds in each.items()}
    if not kl:
        return []
    first = min(kl, key=lambda name: _mean(kl[name]))
    ahead = []
    for name, seeds in kl.items():
        if name != first:
            apart = [theirs - ours for theirs, ours in zip(seeds, kl[first], strict=True)]
            interval = _interval(apart)
            ahead.append(Lead(text, first, name, _mean(apart), interval.low, interval.high, between_twins))
    return sorted(ahead, key=lambda one: one.difference)


def _mean(seeds: Sequence[NDArray[np.float64]]) -> float:
    return float(np.mean([one.mean() for one in seeds]))


def _interval(seeds: Sequence[NDArray[np.float64]]) -> Interval:
    """Percentile bootstrap in two stages: seeds are drawn, then texts of each seed drawn. A model is trained once a seed, so texts alone
    would not say what another seed brings. With three seeds the lower end is about the worst seed's own.
    """
    together = np.concatenate(seeds)
    if np.ptp(together) == 0:
        return mean_interval(together, low=-_LARGEST, high=_LARGEST)
    rng = np.random.default_rng(0)
    means = np.zeros(_RESAMPLES)
    for _ in seeds:
        sampled = rng.integers(len(seeds), size=_RESAMPLES)
        for number, values in enumerate(seeds):
            here = np.flatnonzero(sampled == number)
            means[here] += values[rng.integers(len(values), size=(len(here), len(values)))].mean(axis=1)
    low, high = np.quantile(means / len(seeds), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))
