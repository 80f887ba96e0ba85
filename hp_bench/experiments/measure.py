"""The instruments of the leaderboard: one miniature's tasks, engine and twins, and what they say of a model."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from rich.progress import Progress
from transformers import AutoTokenizer

from hp_bench import miniature
from hp_bench.engines.hf import HFEngine
from hp_bench.engines.loader import EngineSettings, Loader, OneEngine
from hp_bench.experiments.store import Number, Place, RowScore, identity_of, sentence
from hp_bench.experiments.tuning import Candidate
from hp_bench.experiments.workers import Relay, one_thread, quiet_bars
from hp_bench.miniature.panel import panel_tasks
from hp_bench.results.compare import broken
from hp_bench.results.scorecard import Scorecard, difference, failures
from hp_bench.scoring.checkpoints import Checkpoint
from hp_bench.scoring.distances import TwinDistances
from hp_bench.scoring.models import score_one
from unlearn.progress import shown_by

#: Folder of the panel's scorecards.
PANEL = "panel"

_FAMILIARITY = "hp_miniature_familiarity"

_TASKS = {
    "familiarity": (_FAMILIARITY, "familiarity"),
    "token_probability": ("hp_miniature_token_probability", "token_probability"),
    "utility": ("hp_miniature_utility", "acc"),
    "rest_loss": ("hp_miniature_rest", "rest_loss"),
}


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
        return self._card("baseline", self.world.baseline, 0, None, self._tasks, self._out)

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
            self._loader(str(self.world.baseline))  # a folder of this name may have held another setting's weights
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
        loader, path = self._loader, str(model)
        if isinstance(model, torch.nn.Module):
            engine = HFEngine(model, tokenizer=AutoTokenizer.from_pretrained(tokenizer))
            loader, path = OneEngine(engine), engine.model
        return score_one(loader, tasks, Checkpoint(name, path, step), out=place).card

    @cached_property
    def _panel(self) -> dict[str, Any]:
        return panel_tasks(self.world)

    @cached_property
    def _loader(self) -> Loader:
        return Loader(EngineSettings(device="cpu"), [self.world.baseline])


def _require_finite(numbers: Mapping[str, float]) -> None:
    wrong = [key for key, value in numbers.items() if not math.isfinite(value)]
    if wrong:
        raise ValueError(f"the model gives {', '.join(wrong)} that are no numbers (NaN): its weights are unusable")


def measure_own(place: Place, name: str, relay: Relay) -> RowScore:
    """Measures baseline or twin-N, in a process of its own."""
    with drawn(relay):
        bench = bench_of(place)
        identity, models = identity_of(bench.world, {}), {twin.name: twin for twin in bench.world.twins}
        twin = list(models).index(name) if name in models else None
        model, step = (models[name], None) if twin is not None else (bench.world.baseline, 0)
        try:
            score = bench.measure(name, model, seed=place.seed, fingerprint=identity, step=step, twin=twin)
        except Exception as error:
            score = RowScore(name, place.seed, identity, failure=sentence(error))
        place.keep(score)
        return score


def try_baseline(place: Place, relay: Relay) -> None:
    """Measures what candidates are held against, in a process of its own."""
    with drawn(relay):
        bench = bench_of(place)
        numbers = bench.familiarity_and_distances("baseline", bench.world.baseline)
        place.keep_candidates("baseline", 0, identity_of(bench.world, {}), [Candidate("baseline", {}, 0, *numbers)])


@lru_cache(maxsize=1)
def bench_of(place: Place) -> Bench:
    """A seed's instruments: one for all rows that a process measures."""
    return Bench(place.miniature, place.folder)


@contextmanager
def drawn(relay: Relay) -> Iterator[None]:
    """A call in a process of its own: one thread, its progress drawn by the first process."""
    quiet_bars()
    with one_thread(), shown_by(cast(Progress, relay)):
        yield
