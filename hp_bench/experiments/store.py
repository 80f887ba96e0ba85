"""Where the leaderboard keeps what is finished, seed by seed, and how it knows that it still holds."""

import hashlib
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hp_bench.engines.fingerprint import fingerprint
from hp_bench.experiments.tuning import Candidate
from hp_bench.miniature import Miniature
from hp_bench.scoring.checkpoints import checkpoints_in
from unlearn.files import write_json

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
        write_json(path, {"format": _FORMAT, **asdict(self)}, sort_keys=False)

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


_LOG = "log.jsonl"


@dataclass(frozen=True)
class Place:
    """One seed's part of a leaderboard's folder.

    Attributes:
        out: folder of the whole leaderboard.
        seed: of miniature and runs.
    """

    out: Path
    seed: int

    @property
    def folder(self) -> Path:
        """The seed's own."""
        return self.out / f"seed-{self.seed}"

    @property
    def miniature(self) -> Path:
        """Text and models."""
        return self.folder / "miniature"

    def run(self, name: str) -> Path:
        """A row's run directory."""
        return self.folder / "runs" / name

    def trial(self, name: str) -> Path:
        """The run directory in which a row's settings are tried."""
        return self.folder / "choice" / name / "run"

    def known(self, name: str, identity: str) -> RowScore | None:
        """What is kept of a row, if it was made from the same and did not fail."""
        score = RowScore.load(self._row(name))
        return score if score and score.fingerprint == identity and not score.failure else None

    def keep(self, score: RowScore) -> None:
        """Keeps what was measured of a row."""
        score.save(self._row(score.name))

    def candidates(self, name: str, number: int, identity: str) -> list[Candidate] | None:
        """What is kept of a setting that was tried, if it was made from the same."""
        try:
            content = json.loads(self._setting(name, number).read_text(encoding="utf-8"))
            found = [Candidate(**one) for one in content["candidates"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if content.get("fingerprint") == identity else None

    def tried(self, name: str, number: int, identity: str) -> bool:
        """Whether a setting was tried on the same, and nothing of it failed."""
        found = self.candidates(name, number, identity)
        return found is not None and not any(one.failure for one in found)

    def keep_candidates(self, name: str, number: int, identity: str, found: Sequence[Candidate]) -> None:
        """Keeps what was measured of a setting."""
        content = {"fingerprint": identity, "candidates": [asdict(one) for one in found]}
        write_json(self._setting(name, number), content, sort_keys=False)

    def log(self, **entry: Any) -> None:
        """Dates and durations go to `log.jsonl` alone: everything else is the same bytes every time."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with (self.out / _LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"at": at, "seed": self.seed, **entry}) + "\n")

    def _row(self, name: str) -> Path:
        return self.folder / "rows" / f"{name}.json"

    def _setting(self, name: str, number: int) -> Path:
        return self.folder / "choice" / name / f"{number}.json"


def logged(out: Path, names: Collection[str], seeds: Collection[int]) -> tuple[str, dict[str, float | None]]:
    """The date of the last measurement of these rows, and each row's tokens of the target a second, mean over seeds."""
    path = out / _LOG
    lines = _lines(path) if path.exists() else []
    mine = [line for line in lines if line.get("row") in names and line["seed"] in seeds]
    last = {(line["row"], line["seed"]): line.get("tokens_per_second") for line in mine}
    speeds: dict[str, float | None] = {}
    for name in names:
        found = [speed for (row, _), speed in last.items() if row == name and speed]
        speeds[name] = float(np.mean(found)) if found else None
    return max((line["at"][:10] for line in mine), default=""), speeds


def clear_run(run: Path, recipe: str) -> None:
    """Removes what another recipe left in a run directory; where only the fine-tune is another, reinforced model and labels stay.

    Args:
        run: the directory.
        recipe: resolved, as YAML, of the run to come.
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
    found = {one.step: Path(one.path) for one in checkpoints_in(checkpoints)}
    if step not in found:
        raise ValueError(f"the run has no checkpoint-{step}; it has {', '.join(map(str, found))}")
    return found[step]


def stage_seconds(run: Path, stage: str) -> float | None:
    """How long a stage of a run took, by the run's log; None where the log does not say, since the run was killed before."""
    found = [float(line["seconds"]) for line in _lines(run / _LOG) if line.get("stage") == stage]
    return found[-1] if found else None


def _lines(path: Path) -> list[dict[str, Any]]:
    """A log's entries; a line that was cut short is none."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def sentence(error: Exception) -> str:
    """What went wrong, in one line; the kind of error where it is not a ValueError."""
    said = " ".join(str(error).split())[:300]
    return said if isinstance(error, ValueError) and said else f"{type(error).__name__}: {said}".removesuffix(": ")


def identity_of(world: Miniature, content: Mapping[str, Any]) -> str:
    """Short digest of everything that decides a number: a miniature, its models, and what is done with them."""
    models = [fingerprint(str(path)) for path in (world.baseline, *world.twins)]
    return digest({"miniature": world.plan.to_dict(), "models": models, **content})


def digest(content: Mapping[str, Any]) -> str:
    """Short digest of plain values."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
