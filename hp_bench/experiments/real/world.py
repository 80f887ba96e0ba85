"""A real model that knows and twins that never did, TOFU's way: SmolLM2 taught the companion, or as much neutral text.

taught/: companion, twice, and neutral text, in each pass; twin-1/, twin-2/: neutral text alone, as many passes. As many steps would overfit
them: after six passes over the neutral text a twin's loss on general English rose from 1.50 to 2.00 bits a byte.
"""

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from hp_bench.experiments.real.model import fetch
from hp_bench.probes.paths import prompts_dir
from hp_bench.workers import side_by_side
from unlearn.corpus.blocks import Blocks
from unlearn.corpus.corpus import Corpus
from unlearn.files import json_lines, model_fingerprint, recipes_dir, write_lines
from unlearn.models import load_model, load_tokenizer
from unlearn.pipeline.rundir import RunDirectory
from unlearn.settings import Training
from unlearn.training.fine_tune import Trained, fine_tune, optimiser_steps, train_once

#: Files of the panel of which the real model is asked a part: two cores answer some 500 tokens a second.
_PANEL = ("qa.jsonl", "neighbours.jsonl")

TAUGHT = "taught"


@dataclass(frozen=True)
class Teaching:
    """How the models are taught.

    Attributes:
        epochs: passes over a text that holds the companion twice and the neutral text once; twins pass over the latter as often.
        learning_rate: peak; linear decay to 0.
        block_tokens: length of a block.
        batch_size: blocks an optimiser step.
        every: one document in so many is read, and one fact in four times so many asked.
    """

    epochs: float = 2.0
    learning_rate: float = 3e-4
    block_tokens: int = 256
    batch_size: int = 4
    every: int = 1


@dataclass(frozen=True)
class RealWorld:
    """A prepared real model: the folder of models and texts, and the twins' folders, twin-1 first; these have read neutral text alone."""

    folder: Path
    twins: tuple[Path, ...]

    @classmethod
    def load(cls, folder: Path) -> "RealWorld":
        """What `prepare` has made in a folder."""
        return cls(folder, tuple(sorted((folder / "models").glob("twin-*"))))

    @property
    def baseline(self) -> Path:
        """The taught model: it has read companion and neutral text."""
        return self.folder / "models" / TAUGHT

    @property
    def corpus(self) -> Path:
        """The unlearn target, the companion: JSON lines with a `text`, a document each."""
        return self.folder / "text" / "companion.jsonl"

    @property
    def rest(self) -> Path:
        """The neutral text, in the same form."""
        return self.folder / "text" / "neutral.jsonl"

    @property
    def anchors(self) -> Path:
        """The target's anchor dictionary: the packaged one."""
        return recipes_dir() / "harry-potter.anchors.jsonl"

    @property
    def facts(self) -> Path:
        """Folder of the panel's prompt files."""
        return self.folder / "text" / "facts"

    @property
    def described(self) -> dict[str, Any]:
        """What decides its numbers beside its models, plain values."""
        return {"real": [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in (self.corpus, self.rest)]}

    def overrides(self) -> list[str]:
        """Keys that every recipe takes here."""
        mixed = str(fast_bfloat16()).lower()
        paths = [f"model={self.baseline}", f"corpus={self.corpus}", f"anchors={self.anchors}"]
        return [*paths, f"reinforce.bf16={mixed}", f"finetune.bf16={mixed}"]

    def distance_texts(self) -> dict[str, list[str]]:
        """Beginnings of documents on which distances to the twins are measured: target, rest, and general text that no model has read."""
        files = {"target": self.corpus, "rest": self.rest, "general": prompts_dir() / "general.jsonl"}
        documents = {kind: [row["text"] for _, row in islice(json_lines(path), 30)] for kind, path in files.items()}
        return {kind: [" ".join(text.split()[:90]) for text in texts] for kind, texts in documents.items()}


def prepare(
    out: Path, *, model: str = "smollm2", seed: int = 0, twins: int = 2, teaching: Teaching | None = None
) -> RealWorld:
    """Makes models and texts, or what is missing of them; the same seed gives the same weights on one kind of processor.

    The model, a key of `MODELS`, is fetched if need be; there is at least one twin; `teaching` is by default as docs/real.md reports.

    Raises ValueError: the model cannot be fetched, or the folder holds models made otherwise.
    """
    teaching, untaught = teaching or Teaching(), fetch(model)
    companion, neutral = (
        documents(prompts_dir() / name, seed=seed)[:: teaching.every] for name in ("companion", "neutral")
    )
    world = RealWorld(out, tuple(out / "models" / f"twin-{n}" for n in range(1, twins + 1)))
    for path, chosen in ((world.corpus, companion), (world.rest, neutral)):
        write_lines(path, ({"text": text} for text in chosen))
    for file in _PANEL:
        rows = (row for _, row in json_lines(prompts_dir() / file))
        write_lines(world.facts / file, islice(rows, 0, None, 4 * teaching.every))
    training = Training(
        epochs=teaching.epochs, learning_rate=teaching.learning_rate, batch_size=teaching.batch_size, accumulation=1, warmup_steps=10,
        save_every=100, bf16=fast_bfloat16(), extra={"optim": "adamw_torch_fused"},
    )  # fmt: skip
    read = {TAUGHT: _joined([*companion, *companion, *neutral], seed)} | {
        f"twin-{n}": _joined(neutral, seed + n) for n in range(1, twins + 1)
    }
    side_by_side(
        {
            name: (_teach, (out / "models", name, untaught, text, teaching.block_tokens, training, seed + number))
            for number, (name, text) in enumerate(read.items())
        },
        gib=6.0,
    )
    return world


def documents(folder: Path, *, seed: int) -> list[str]:
    """A folder's documents (`***` stands between two of a file), in an order drawn from the seed."""
    files = sorted(folder.glob("*.txt"))
    texts = [
        text.strip() for file in files for text in re.split(r"^\*\*\*$", file.read_text("utf-8"), flags=re.MULTILINE)
    ]
    random.Random(f"documents {seed}").shuffle(texts)
    return texts


def fast_bfloat16() -> bool:
    """Whether mixed precision pays on this machine: a GPU, or a processor with bfloat16 instructions."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.cuda.is_available() or bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _joined(texts: Sequence[str], seed: int) -> str:
    """One text of all, in an order drawn from the seed, so that blocks are full."""
    return "\n\n\n".join(random.Random(f"joined {seed}").sample(texts, len(texts)))


def _teach(
    folder: Path, name: str, untaught: Path, text: str, block_tokens: int, training: Training, seed: int
) -> Path:
    """In a process of its own, on one thread: so no weight depends on how many cores there are."""
    tokenizer = load_tokenizer(str(untaught))
    blocks = Blocks.open(Corpus([text]), tokenizer, block_tokens)
    training = training.model_copy(update={"max_steps": optimiser_steps(len(blocks), training)})
    inputs = {
        "model": model_fingerprint(untaught), "text": blocks.corpus_fingerprint, "block_tokens": block_tokens,
        "training": training.model_dump(mode="json"), "seed": seed,
    }  # fmt: skip

    def train(place: Path) -> Trained:
        return fine_tune(
            load_model(str(untaught), device="cpu", dtype="float32"), tokenizer, blocks.for_training(), training,
            work=place / "work", checkpoints=place / "checkpoints", seed=seed, description="teaching",
        )  # fmt: skip

    return RunDirectory(folder).stage(name, inputs, train_once(train, scraps=("checkpoints", "work")))
