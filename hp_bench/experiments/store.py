"""Where the leaderboard keeps what is finished, seed by seed, and how it knows that it still holds."""

import hashlib
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import jsonlines
import numpy as np
import yaml
from pydantic import TypeAdapter

from hp_bench.engines.fingerprint import fingerprint
from hp_bench.experiments.real.world import RealWorld, prepare
from hp_bench.experiments.tuning import Candidate
from hp_bench.miniature import train
from hp_bench.miniature.settings import Settings
from hp_bench.miniature.train import Miniature
from hp_bench.scoring.checkpoints import checkpoints_in
from unlearn.files import append_log, write_json

LOG = "log.jsonl"

#: What methods are compared on: a miniature or a real model, each with a baseline that knows, twins that never did, and their texts.
World = Miniature | RealWorld

MINIATURE = "miniature"


def gib_of(world: World) -> float:
    """Memory that a row of a leaderboard may need, in GiB."""
    return 10.0 if isinstance(world, RealWorld) else 1.0


_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Number:
    """A number of one model and its 95 % interval; no interval where none is computed."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RowScore:
    """What was measured of one row in one seed's world.

    Attributes:
        name: of the row, baseline or twin-N among them.
        seed: of the world and the run.
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


@dataclass(frozen=True)
class SeedFolder:
    """One seed's part of `out`, the folder of a leaderboard; `model`: miniature, or the name of a real model."""

    out: Path
    seed: int
    model: str = MINIATURE

    @property
    def path(self) -> Path:
        """The seed's own."""
        return self.out / f"seed-{self.seed}"

    @property
    def place(self) -> Path:
        """Folder of the world: text and models."""
        return self.path / self.model

    @property
    def world(self) -> World:
        """The world that `prepare` has made."""
        return train.load(self.place) if self.model == MINIATURE else RealWorld.load(self.place)

    def prepare(self, *, twins: int = 1, settings: Settings | None = None) -> World:
        """Makes the world, or what is missing of it; `settings` are a miniature's."""
        if self.model == MINIATURE:
            return train.prepare(self.place, seed=self.seed, twins=twins, settings=settings)
        return prepare(self.place, model=self.model, seed=self.seed, twins=twins)

    def run(self, name: str) -> Path:
        """A row's run directory."""
        return self.path / "runs" / name

    def trial(self, name: str) -> Path:
        """The run directory in which a row's settings are tried."""
        return self.path / "choice" / name / "run"

    def known(self, name: str, identity: str) -> RowScore | None:
        """What is kept of a row, if it was made from the same and did not fail."""
        return read_record(self._row(name), identity, TypeAdapter(RowScore))

    def keep(self, score: RowScore) -> RowScore:
        """Keeps what was measured of a row; raises ValueError if one of its numbers is none (NaN)."""
        write_json(self._row(score.name), {"format": 1, **asdict(score)}, sort_keys=False)
        return score

    def candidates(self, name: str, number: int, identity: str) -> list[Candidate] | None:
        """What is kept of a setting that was tried, if it was made from the same."""
        return read_record(self._setting(name, number), identity, TypeAdapter(list[Candidate]), "candidates")

    def tried(self, name: str, number: int, identity: str) -> bool:
        """Whether a setting was tried on the same, and nothing of it failed."""
        candidates = self.candidates(name, number, identity)
        return candidates is not None and not any(one.failure for one in candidates)

    def keep_candidates(self, name: str, number: int, identity: str, candidates: Sequence[Candidate]) -> None:
        """Keeps what was measured of a setting."""
        content = {"fingerprint": identity, "candidates": [asdict(one) for one in candidates]}
        write_json(self._setting(name, number), content, sort_keys=False)

    def log(self, **entry: Any) -> None:
        """Dates and durations go to `log.jsonl` alone: everything else is the same bytes every time."""
        append_log(self.out / LOG, seed=self.seed, **entry)

    def _row(self, name: str) -> Path:
        return self.path / "rows" / f"{name}.json"

    def _setting(self, name: str, number: int) -> Path:
        return self.path / "choice" / name / f"{number}.json"


def read_record(path: Path, identity: str, kind: TypeAdapter[_Record], key: str = "") -> _Record | None:
    """What is kept in a JSON file, or under a key of it, if it was made from the same (its `fingerprint`) and is no failure; else None."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["fingerprint"] != identity or content.get("failure"):
            return None
        return kind.validate_python(content[key] if key else content)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def logged(out: Path, names: Collection[str], seeds: Collection[int]) -> tuple[str, dict[str, float | None]]:
    """The date of the last measurement of these rows, and each row's tokens of the target a second, mean over seeds."""
    mine = [line for line in _lines(out / LOG) if line.get("row") in names and line["seed"] in seeds]
    last = {(line["row"], line["seed"]): line.get("tokens_per_second") for line in mine}
    by_row = {name: [speed for (row, _), speed in last.items() if row == name and speed] for name in names}
    speeds = {name: float(np.mean(each)) if each else None for name, each in by_row.items()}
    return max((line["at"][:10] for line in mine), default=""), speeds


def clear_run(run: Path, recipe: str) -> None:
    """Removes what another recipe left in a run directory; where only the fine-tune is another, reinforced model and labels stay.

    `recipe`: of the run to come, resolved, as YAML.
    """
    path = run / "recipe.yaml"
    before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    now = yaml.safe_load(recipe)
    if before is None or before == now:
        return
    if {**before, "finetune": None} != {**now, "finetune": None}:
        shutil.rmtree(run)
        return
    for name in ("checkpoints", "finetune", "finetune.tmp"):
        shutil.rmtree(run / name, ignore_errors=True)


def checkpoint_at(checkpoints: Path, step: int) -> Path:
    """The folder of a run's checkpoint; raises ValueError if it has none of that step."""
    by_step = {one.step: Path(one.path) for one in checkpoints_in(checkpoints)}
    if step not in by_step:
        raise ValueError(f"the run has no checkpoint-{step}; it has {', '.join(map(str, by_step))}")
    return by_step[step]


def stage_seconds(run: Path, stage: str) -> float | None:
    """How long a stage of a run took, by the run's log; None where the log does not say, since the run was killed before."""
    seconds = [float(line["seconds"]) for line in _lines(run / LOG) if line.get("stage") == stage]
    return seconds[-1] if seconds else None


def _lines(path: Path) -> list[dict[str, Any]]:
    """A log's entries; a line that was cut short is none, and no log has none."""
    if not path.exists():
        return []
    with jsonlines.open(path) as lines:
        return list(lines.iter(type=dict, skip_invalid=True))


def sentence(error: Exception) -> str:
    """What went wrong, in one line; the kind of error where it is not a ValueError."""
    said = " ".join(str(error).split())[:300]
    return said if isinstance(error, ValueError) and said else f"{type(error).__name__}: {said}".removesuffix(": ")


def identity_of(world: World, content: Mapping[str, Any]) -> str:
    """Short digest of everything that decides a number: a world, its models, and what is done with them."""
    models = [fingerprint(str(path)) for path in (world.baseline, *world.twins)]
    return digest({**world.described, "models": models, **content})


def digest(content: Mapping[str, Any]) -> str:
    """Short digest of plain values."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
