"""`prepare`: a folder with a miniature in it: text, tokenizer, a baseline that knows the target, and twins that do not."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hp_bench.miniature.library import Library
from hp_bench.miniature.pretrain import BASELINE, pretrain, train_tokenizer
from hp_bench.miniature.probes import familiarity_probes, lexicon, token_probes
from hp_bench.miniature.settings import Plan, Settings
from hp_bench.miniature.translations import anchors
from hp_bench.miniature.utility import utility_items
from hp_bench.miniature.world import TARGETS
from hp_bench.workers import side_by_side
from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.files import json_lines, require_writable, whole_folder, write_lines, write_text


@dataclass(frozen=True)
class Miniature:
    """A prepared miniature: the folder that holds all of it, what it was made from, and the twins' folders, twin-1 first. All exist."""

    folder: Path
    plan: Plan
    twins: tuple[Path, ...]

    @property
    def described(self) -> dict[str, Any]:
        """What decides its numbers beside its models, plain values."""
        return {"miniature": self.plan.to_dict()}

    def overrides(self) -> list[str]:
        """Keys that every recipe takes here."""
        return [f"model={self.baseline}", f"corpus={self.corpus}", f"anchors={self.anchors}"]

    @property
    def baseline(self) -> Path:
        """Model that has read the rest and the target."""
        return self.folder / BASELINE

    @property
    def corpus(self) -> Path:
        """The unlearn target: JSON lines with a `text`, one story each."""
        return self.folder / "text" / "target.jsonl"

    @property
    def anchors(self) -> Path:
        """The target's anchor dictionary."""
        return self.folder / "text" / "anchors.jsonl"

    @property
    def prompts(self) -> Path:
        """Folder of the prompt files, named as the tasks of `hp_bench.miniature.tasks` want them."""
        return self.folder / "text" / "prompts"

    @property
    def rest(self) -> Path:
        """Text of the rest that the models have read: JSON lines with a `text`, one story each."""
        return self.folder / "text" / "rest.jsonl"

    def distance_texts(self) -> dict[str, list[str]]:
        """Texts on which distances to the twins are measured: the first 100 of the target, and of the rest that no model has read."""
        files = {"target": self.corpus, "rest": self.prompts / "rest.jsonl"}
        return {kind: [row["text"] for _, row in islice(json_lines(path), 100)] for kind, path in files.items()}


def prepare(
    folder: Path | str,
    *,
    target: str = "harry-potter",
    seed: int = 0,
    twins: int = 1,
    settings: Settings | None = None,
) -> Miniature:
    """Makes a miniature, or what is missing of it; what a folder already holds is kept.

    Every model is trained on one thread in a process of its own, as many at a time as there are cores, so its weights depend neither
    on the number of twins nor on the machine's number of cores. A script calls this below `if __name__ == "__main__":`.

    Args:
        folder: made if need be.
        target: a key of `TARGETS`.
        seed: of text, batches and weights; twin n starts from other weights, drawn from seed and n.
        twins: how many models to train on the rest alone.
        settings: sizes; default: those whose figures `docs/miniature.md` reports.

    Raises:
        ValueError: the target is unknown, or the folder cannot be made or holds a miniature made otherwise.
        ProcessKilled: a training process died; so do the others.
    """
    if target not in TARGETS:
        raise ValueError(f"unknown target {target!r}; available: {', '.join(TARGETS)}")
    folder, plan = Path(folder), Plan(target, seed, settings or Settings())
    require_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "text").exists():
        _write_text(folder, plan)
    elif difference := Plan.load(folder / "text" / "plan.json").difference(plan):
        raise ValueError(f"{str(folder)!r} holds another miniature ({difference}); choose another folder or remove it")
    models = [BASELINE, *(f"twin-{number}" for number in range(1, twins + 1))]
    missing = [name for name in models if not (folder / name).exists()]
    side_by_side({name: (pretrain, (folder / "text", name, folder / name)) for name in missing})
    return Miniature(folder, plan, tuple(folder / name for name in models[1:]))


def load(folder: Path | str) -> Miniature:
    """A miniature that `prepare` has made. Raises ValueError: there is none in the folder."""
    folder = Path(folder)
    if not (folder / BASELINE).is_dir():
        raise ValueError(f"{str(folder)!r} holds no miniature; `prepare` makes one")
    twins = sorted(folder.glob("twin-*"), key=lambda twin: int(twin.name.removeprefix("twin-")))
    return Miniature(folder, Plan.load(folder / "text" / "plan.json"), tuple(twins))


def _write_text(folder: Path, plan: Plan) -> None:
    """Everything that is no model."""
    library, settings = Library.write(plan), plan.settings
    tokenizer = train_tokenizer(library.rest, vocabulary=settings.vocabulary, context=settings.context)
    lengths = map(len, tokenizer(list(library.held_out), add_special_tokens=False)["input_ids"])
    held_out = enumerate(zip(library.held_out, lengths, strict=True))
    files: dict[str, Iterable[Any]] = {
        "rest": ({"text": text} for text in library.rest),
        "target": ({"text": text} for text in library.target),
        "prompts/familiarity": map(asdict, familiarity_probes(plan.target)),
        "prompts/token_probability": map(asdict, token_probes(plan.target)),
        "prompts/lexicon": map(asdict, lexicon(plan.target)),
        "prompts/utility": map(asdict, utility_items(library, plan.seed)),
        "prompts/rest": ({"id": f"rest-{n}", "text": text, "tokens": length} for n, (text, length) in held_out),
    }
    with whole_folder(folder / "text") as text_folder:
        for name, rows in files.items():
            write_lines(text_folder / f"{name}.jsonl", rows)
        write_text(text_folder / "anchors.jsonl", AnchorDictionary(tuple(anchors(plan.target))).to_jsonl())
        tokenizer.save_pretrained(text_folder / "tokenizer")
        write_text(text_folder / "prompts" / "vocabulary.txt", "\n".join(library.words) + "\n")
        write_text(text_folder / "plan.json", json.dumps(plan.to_dict(), indent=1) + "\n")
