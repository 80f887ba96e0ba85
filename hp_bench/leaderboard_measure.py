"""The instruments of the leaderboard: one miniature's tasks, engine and twins, and what they say of a model."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from hp_bench import miniature
from hp_bench.compare import broken
from hp_bench.curves import Checkpoint, keep, score_one
from hp_bench.distances import TwinDistances
from hp_bench.engines.hf import HFEngine
from hp_bench.miniature.panel import panel_tasks
from hp_bench.scorecard import Scorecard, difference
from hp_bench.scoring import score_engine
from hp_bench.tables import failures
from hp_bench.whole import write_json

#: Folder of the panel's scorecards.
PANEL = "panel"
_FAMILIARITY = "hp_miniature_familiarity"
_TASKS = {
    "familiarity": (_FAMILIARITY, "familiarity"),
    "token_probability": ("hp_miniature_token_probability", "token_probability"),
    "utility": ("hp_miniature_utility", "acc"),
    "rest_loss": ("hp_miniature_rest", "rest_loss"),
}
_FORMAT = 1


@dataclass(frozen=True)
class Number:
    """A number of one model and its 95 % interval; no interval where none is computed."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RowScore:
    """What was measured of one row in one seed's miniature.

    Attributes:
        name: of the row, baseline or twin-N among them.
        seed: of the miniature and the run.
        fingerprint: of everything that decides the numbers.
        numbers: familiarity (0 to 5), token_probability (0 to 1), utility (0 to 1), utility_drop (points of accuracy below the baseline),
            rest_loss and rest_change (nats a token above the baseline), kl_target and kl_rest (nats a token beyond twin-to-twin),
            ks_target (0 to 1).
        texts: target and rest -> KL(twin || model) of each text, nats a token.
        between: kl_target, kl_rest and ks_target of two twins.
        failure: why there are no numbers; "" if there are.
        broken: why the model counts as broken; "" if it does not.
    """

    name: str
    seed: int
    fingerprint: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    texts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    between: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""
    broken: str = ""

    def save(self, path: Path) -> None:
        """Writes JSON, whole or not at all."""
        write_json(path, {"format": _FORMAT, **asdict(self)})

    @classmethod
    def load(cls, path: Path) -> "RowScore | None":
        """What `save` wrote; None if the file is not there or is something else."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != _FORMAT:
                return None
            numbers = {name: Number(**number) for name, number in content.pop("numbers").items()}
            return cls(numbers=numbers, **content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


class Bench:
    """A miniature's instruments: the tasks are built once, one engine takes model after model, the twins' distributions are held.

    Args:
        folder: of the miniature.
        out: folder for scorecards and samples.
    """

    def __init__(self, folder: Path | str, out: Path | str) -> None:
        self.world = miniature.load(folder)
        self._out = Path(out)
        self._tasks = miniature.miniature_tasks(self.world)

    @cached_property
    def twins(self) -> TwinDistances:
        """Distances to the miniature's twins."""
        return TwinDistances(self.world.twins, self.world.distance_texts())

    @cached_property
    def baseline(self) -> Scorecard:
        """The baseline's scorecard."""
        return score_one(self._engine, self._tasks, _checkpoint("baseline", self.world.baseline, 0), out=self._out).card

    def measure(
        self,
        name: str,
        model: Path | torch.nn.Module,
        *,
        seed: int,
        fingerprint: str,
        step: int | None = None,
        tokenizer: Path | None = None,
        twin: int | None = None,
    ) -> RowScore:
        """Every number of a row.

        Args:
            name: of the row.
            model: folder, or a live model.
            seed: of the row.
            fingerprint: of the row.
            step: of its checkpoint.
            tokenizer: folder of a live model's.
            twin: index of the twin that the model is, if it is one.

        Raises:
            ValueError: a number is none (NaN).
        """
        card = self.baseline if name == "baseline" else self._card(name, model, step, tokenizer, self._tasks, self._out)
        if card.failed:
            return RowScore(name, seed, fingerprint, failure="; ".join(failures([card])) or "prompts were unscored")
        numbers = {
            key: Number(one.value, one.low, one.high)
            for key, (task, metric) in _TASKS.items()
            if (one := card.get(task, metric)).value is not None
        }
        numbers["utility_drop"], numbers["rest_change"] = Number(0.0), Number(0.0)
        if name != "baseline":
            drop = difference(self.baseline, card, *_TASKS["utility"])
            change = difference(card, self.baseline, *_TASKS["rest_loss"])
            numbers["utility_drop"] = Number(100 * drop.value, 100 * drop.low, 100 * drop.high)
            numbers["rest_change"] = Number(change.value, change.low, change.high)
        texts, between = {}, {}
        for found in self.twins.of(name, model, leave_out=twin):
            far, kind = found.distance, found.distance.text
            numbers[f"kl_{kind}"] = Number(far.raw if far.value is None else far.value, far.low, far.high)
            numbers[f"ks_{kind}"] = Number(found.ks)
            texts[kind] = found.each
            if far.between_twins is not None and found.ks_between_twins is not None:
                between[f"kl_{kind}"], between[f"ks_{kind}"] = far.between_twins, found.ks_between_twins
        _require_finite({key: number.value for key, number in numbers.items()})
        return RowScore(name, seed, fingerprint, numbers, texts, between, broken=broken(card, self.baseline))

    def familiarity_and_distances(
        self, name: str, model: Path | torch.nn.Module, *, tokenizer: Path | None = None
    ) -> tuple[float, float, float]:
        """What settings are chosen by: familiarity, and KL(twin || model) on target and rest, nats a token; nothing is kept.

        Raises:
            ValueError: the model gives no number.
        """
        tasks = {**self._tasks, "tasks": {_FAMILIARITY: self._tasks["tasks"][_FAMILIARITY]}}
        if not isinstance(model, torch.nn.Module):
            self._engine.swap(str(self.world.baseline))  # a folder of this name may have held another setting's weights
        card = self._card(name, model, None, tokenizer, tasks, None)
        familiarity = None if card.failed else card.get(*_TASKS["familiarity"]).value
        if familiarity is None:
            raise ValueError("; ".join(failures([card])) or "prompts were unscored")
        raw = {found.distance.text: found.distance.raw for found in self.twins.of(name, model)}
        _require_finite({f"kl_{kind}": value for kind, value in raw.items()})
        return familiarity, raw["target"], raw["rest"]

    def panel(
        self,
        name: str,
        model: Path | torch.nn.Module,
        *,
        step: int | None = None,
        tokenizer: Path | None = None,
    ) -> Scorecard:
        """A model's scorecard of the panel (`docs/panel.md`); kept, and of a folder not asked again.

        Args:
            name: of the row.
            model: folder, or a live model.
            step: of its checkpoint.
            tokenizer: folder of a live model's.
        """
        return self._card(name, model, step, tokenizer, self._panel, self._out / PANEL)

    def _card(
        self,
        name: str,
        model: Path | torch.nn.Module,
        step: int | None,
        tokenizer: Path | None,
        tasks: Mapping[str, Any],
        place: Path | None,
    ) -> Scorecard:
        if not isinstance(model, torch.nn.Module):
            return score_one(self._engine, tasks, _checkpoint(name, model, step), out=place).card
        engine = HFEngine(model, tokenizer=AutoTokenizer.from_pretrained(tokenizer))
        scored = score_engine(engine, tasks, name=name, step=step)
        if place is not None:
            keep(scored, place)
        return scored.card

    @cached_property
    def _panel(self) -> dict[str, Any]:
        return panel_tasks(self.world)

    @cached_property
    def _engine(self) -> HFEngine:
        return HFEngine(str(self.world.baseline), device="cpu")


def _checkpoint(name: str, model: Path | str, step: int | None) -> Checkpoint:
    return Checkpoint(name, str(model), step)


def _require_finite(numbers: Mapping[str, float]) -> None:
    wrong = [key for key, value in numbers.items() if not math.isfinite(value)]
    if wrong:
        raise ValueError(f"the model gives {', '.join(wrong)} that are no numbers (NaN): its weights are unusable")
