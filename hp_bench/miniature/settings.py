"""Everything that decides a miniature's text and training."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: Raised whenever the same settings could give other text or other weights.
VERSION = 1


@dataclass(frozen=True)
class Settings:
    """How large a miniature is. At the defaults the baselines of seeds 0 to 3 learn the target (docs/miniature.md).

    Attributes:
        worlds: in the rest.
        famous: how many of them are told of again and again, as some books are.
        famous_share: of the rest's stories that are told of these, 0 to 1.
        vague: how often, 0 to 1, a story of the rest leaves a fact unnamed.
        target_stories: of the unlearn target; one is one document, and one block.
        held_out: stories of the rest that no model reads.
        vocabulary: ids of the tokenizer.
        layers: of the model.
        width: of the model; its heads have 32 dimensions each (16 crash vLLM on a CPU).
        inner: width of the feed-forward layers.
        context: longest text, in tokens.
        steps: optimiser steps.
        rest_rows: stories of the rest in a batch; each is read once.
        target_rows: stories of the target beside them in the baseline's batches.
        learning_rate: peak; then linear decay to 0.
        warmup: optimiser steps.
        weight_decay: of matrices other than the embeddings.
        initial_range: standard deviation of initial weights.
    """

    worlds: int = 300
    famous: int = 16
    famous_share: float = 0.6
    vague: float = 0.15
    target_stories: int = 1000
    held_out: int = 200
    vocabulary: int = 1200
    layers: int = 4
    width: int = 128
    inner: int = 256
    context: int = 512
    steps: int = 900
    rest_rows: int = 8
    target_rows: int = 3
    learning_rate: float = 6e-3
    warmup: int = 30
    weight_decay: float = 0.1
    initial_range: float = 0.06

    def __post_init__(self) -> None:
        for name in ("worlds", "target_stories", "held_out", "steps", "rest_rows", "target_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.famous < self.worlds:
            raise ValueError(f"famous must lie between 0 and worlds={self.worlds}, not {self.famous}")
        if self.width % 32:
            raise ValueError(f"width must be a multiple of 32, the size of a head, not {self.width}")

    @property
    def rest_stories(self) -> int:
        """Stories of the rest that are trained on, each once."""
        return self.steps * self.rest_rows


@dataclass(frozen=True)
class Plan:
    """What decides a miniature: a key of `hp_bench.miniature.world.TARGETS`, the seed of worlds, stories, batches and weights, sizes."""

    target: str
    seed: int
    settings: Settings

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Reads what `to_dict` gave. Raises ValueError: the file is no plan, or one of another version."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.get("version") != VERSION:
                raise ValueError(
                    f"made by version {values.get('version')!r} of the miniature; this is version {VERSION}"
                )
            return cls(values["target"], values["seed"], Settings(**values["settings"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{str(path)!r} is not the plan of a miniature: {error}") from None

    def difference(self, other: "Plan") -> str:
        """In what two plans differ; "" if in nothing."""
        ours, theirs = ({"target": p.target, "seed": p.seed, **asdict(p.settings)} for p in (self, other))
        return "; ".join(f"{key}: {ours[key]!r} against {theirs[key]!r}" for key in ours if ours[key] != theirs[key])
