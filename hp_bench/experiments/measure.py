"""The instruments of the leaderboard: a world's tasks, engine and twins, and what they say of a model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from hp_bench.engines.hf import HFEngine
from hp_bench.engines.loader import EngineSettings, Loader, OneEngine
from hp_bench.experiments.real.world import fast_bfloat16
from hp_bench.experiments.store import Number, RowScore, SeedFolder, World, identity_of, sentence
from hp_bench.experiments.tuning import Candidate
from hp_bench.miniature.panel import panel_tasks
from hp_bench.miniature.tasks import miniature_tasks
from hp_bench.miniature.train import Miniature
from hp_bench.results.compare import broken
from hp_bench.results.scorecard import Scorecard, difference, failures
from hp_bench.scoring.checkpoints import Checkpoint
from hp_bench.scoring.distances import TwinDistances
from hp_bench.scoring.models import score_one
from hp_bench.scoring.score import load_tasks

#: Folder of the panel's scorecards.
PANEL = "panel"

#: Number -> task and metric, on the miniature and on a real model.
ON_MINIATURE = {
    "familiarity": ("hp_miniature_familiarity", "familiarity"),
    "token_probability": ("hp_miniature_token_probability", "token_probability"),
    "utility": ("hp_miniature_utility", "acc"),
    "rest_loss": ("hp_miniature_rest", "rest_loss"),
}
ON_REAL = {
    "familiarity": ("hp_familiarity", "familiarity"),
    "token_probability": ("hp_token_probability", "token_probability"),
    "utility": ("hp_neighbours", "kept_choice_accuracy"),
    "rest_loss": ("hp_general", "bits_per_byte"),
}


@dataclass(frozen=True)
class Model:
    """A model as the instruments take it: under the name of its row, or baseline or twin-N; the weights in a folder, or a live model, of
    which the folder of the tokenizer is known; and the step of its checkpoint.
    """

    name: str
    weights: Path | torch.nn.Module
    step: int | None = None
    tokenizer: Path | None = None

    @property
    def live(self) -> bool:
        """Whether it has no weights of its own to read from a folder."""
        return isinstance(self.weights, torch.nn.Module)


class Bench:
    """A world's instruments: the tasks are built once, one engine takes model after model, the twins' distributions are held.

    `out`: folder for scorecards and samples.
    """

    def __init__(self, world: World, out: Path | str) -> None:
        self.world, self._out, self._dtype = world, Path(out), "float32"
        if isinstance(world, Miniature):
            self._numbers, self._tasks = ON_MINIATURE, miniature_tasks(world)
            task = ON_MINIATURE["familiarity"][0]
            self._familiarity = {**self._tasks, "tasks": {task: self._tasks["tasks"][task]}}
        else:
            self._numbers, self._familiarity = ON_REAL, load_tasks(["hp_familiarity"], {"quick": True})
            self._tasks = load_tasks(["hp_familiarity", "hp_token_probability", "hp_general"])
            self._tasks["tasks"] |= load_tasks(["hp_neighbours"], {"prompts": str(world.facts)})["tasks"]
            self._dtype = "bfloat16" if fast_bfloat16() else "float32"

    @cached_property
    def twins(self) -> TwinDistances:
        """Distances to the twins."""
        texts = self.world.distance_texts()
        return TwinDistances(self.world.twins, {kind: texts[kind] for kind in ("target", "rest")})

    @cached_property
    def baseline(self) -> Scorecard:
        """The baseline's scorecard."""
        return self._card(Model("baseline", self.world.baseline, 0), self._tasks, self._out)

    @cached_property
    def own(self) -> dict[str, Model]:
        """The world's own models: the baseline and the twins."""
        named = {"baseline": self.world.baseline, **{twin.name: twin for twin in self.world.twins}}
        return {name: Model(name, path) for name, path in named.items()}

    def measure(self, model: Model, *, seed: int, fingerprint: str) -> RowScore:
        """Every number of a row, by its model or one of the world's own. Raises ValueError: a number is none (NaN)."""
        name = model.name
        card = self.baseline if name == "baseline" else self._card(model, self._tasks, self._out)
        if card.failed:
            return RowScore(name, seed, fingerprint, failure=_failures(card))
        numbers = {
            key: Number(one.value, one.low, one.high)
            for key, (task, metric) in self._numbers.items()
            if (one := card.get(task, metric)).value is not None
        }
        numbers["utility_drop"], numbers["rest_change"] = Number(0.0), Number(0.0)
        if name != "baseline":
            drop = difference(self.baseline, card, *self._numbers["utility"])
            change = difference(card, self.baseline, *self._numbers["rest_loss"])
            numbers["utility_drop"] = Number(100 * drop.value, 100 * drop.low, 100 * drop.high)
            numbers["rest_change"] = Number(change.value, change.low, change.high)
        texts, between = {}, {}
        twin = next((n for n, path in enumerate(self.world.twins) if path.name == name), None)
        for apart in self.twins.of(name, model.weights, leave_out=twin):
            far, kind = apart.distance, apart.distance.text
            numbers[f"kl_{kind}"] = Number(far.raw if far.value is None else far.value, far.low, far.high)
            numbers[f"ks_{kind}"] = Number(apart.ks)
            texts[kind] = apart.each
            if far.between_twins is not None and apart.ks_between_twins is not None:
                between[f"kl_{kind}"], between[f"ks_{kind}"] = far.between_twins, apart.ks_between_twins
        require_finite({key: number.value for key, number in numbers.items()})
        return RowScore(name, seed, fingerprint, numbers, texts, between, broken=broken(card, self.baseline))

    def familiarity_and_distances(self, model: Model) -> tuple[float, float, float]:
        """What settings are chosen by: familiarity, and KL(twin || model) on target and rest, nats a token; nothing is kept.

        Raises ValueError: the model gives no number.
        """
        if not model.live:
            self._loader(str(self.world.baseline))  # a folder of this name may have held another setting's weights
        card = self._card(model, self._familiarity, None)
        familiarity = None if card.failed else card.get(*self._numbers["familiarity"]).value
        if familiarity is None:
            raise ValueError(_failures(card))
        raw = {apart.distance.text: apart.distance.raw for apart in self.twins.of(model.name, model.weights)}
        require_finite({f"kl_{kind}": value for kind, value in raw.items()})
        return familiarity, raw["target"], raw["rest"]

    def panel(self, model: Model) -> Scorecard:
        """A model's scorecard of the panel (`docs/panel.md`); kept, and of a folder not asked again."""
        return self._card(model, self._panel, self._out / PANEL)

    def _card(self, model: Model, tasks: Mapping[str, Any], out: Path | None) -> Scorecard:
        loader, path = self._loader, str(model.weights)
        if isinstance(model.weights, torch.nn.Module):
            engine = HFEngine(model.weights, tokenizer=AutoTokenizer.from_pretrained(model.tokenizer))
            loader, path = OneEngine(engine), engine.model
        return score_one(loader, tasks, Checkpoint(model.name, path, model.step), out=out).card

    @cached_property
    def _panel(self) -> dict[str, Any]:
        assert isinstance(self.world, Miniature)
        return panel_tasks(self.world)

    @cached_property
    def _loader(self) -> Loader:
        return Loader(EngineSettings(device="cpu", dtype=self._dtype), [self.world.baseline])


def _failures(card: Scorecard) -> str:
    return "; ".join(failures([card])) or "prompts were unscored"


def require_finite(numbers: Mapping[str, float]) -> None:
    """Raises ValueError naming the numbers that are none (NaN)."""
    wrong = [key for key, value in numbers.items() if not math.isfinite(value)]
    if wrong:
        raise ValueError(f"the model gives {', '.join(wrong)} that are no numbers (NaN): its weights are unusable")


def measure_own(folder: SeedFolder, name: str) -> RowScore:
    """Measures baseline or twin-N, in a process of its own."""
    bench = bench_of(folder)
    identity = identity_of(bench.world, {})
    try:
        score = bench.measure(bench.own[name], seed=folder.seed, fingerprint=identity)
    except Exception as error:
        score = RowScore(name, folder.seed, identity, failure=sentence(error))
    return folder.keep(score)


def try_baseline(folder: SeedFolder) -> None:
    """Measures what candidates are held against, in a process of its own."""
    bench = bench_of(folder)
    numbers = bench.familiarity_and_distances(bench.own["baseline"])
    folder.keep_candidates("baseline", 0, identity_of(bench.world, {}), [Candidate("baseline", {}, 0, *numbers)])


@lru_cache(maxsize=1)
def bench_of(folder: SeedFolder) -> Bench:
    """A seed's instruments: one for all rows that a process measures."""
    return Bench(folder.world, folder.path)
