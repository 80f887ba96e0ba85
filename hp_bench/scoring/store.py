"""Scorecards and samples on disk: `scorecards/<name>.json` and `samples/<name>/<task>.jsonl`; what is there already is not scored again.

While a model is being scored, what is known of it is in `scorecards/<name>.partial`. Where a folder is None, nothing is kept or known.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from hp_bench.engines import Engine
from hp_bench.engines.fingerprint import identity_of
from hp_bench.engines.loader import Loader
from hp_bench.engines.windows import Journal
from hp_bench.results.scorecard import Scorecard, merged
from hp_bench.scoring.checkpoints import Checkpoint
from hp_bench.scoring.score import Scored, task_manifest
from unlearn.files import json_lines, write_lines

log = logging.getLogger(__name__)


def save(scored: Scored, out: Path | str | None, *, finished: bool = True) -> None:
    """Writes a scorecard and its samples; the scorecard last, so that one that exists is complete.

    Other tasks that the one there holds stay in it, if they were scored with the same weights in the same way. `finished` is False while
    tasks are still to be asked.
    """
    if out is None:
        return
    name = scored.card.name
    for task, samples in scored.samples.items():
        write_lines(Path(out) / "samples" / name / f"{task}.jsonl", (_short(sample) for sample in samples))
    whole, partial = _paths(out, name)
    card = scored.card
    for path, before in _cards(out, name) if finished else ():
        if path == whole:
            card = _joined(card, before)
    card.save(whole if finished else partial)
    if finished:
        partial.unlink(missing_ok=True)
        _journal_file(out, name).unlink(missing_ok=True)


def _joined(card: Scorecard, before: Scorecard) -> Scorecard:
    """A scorecard with the other tasks of an earlier one of the same weights, engine, type and libraries; those of another are lost."""
    kept = [task for task in before.manifest.tasks if task not in {*card.manifest.tasks, *before.failures}]
    if not kept or not before.scored:
        return card
    ours, theirs = ((m.fingerprint, m.engine, m.dtype, m.versions) for m in (card.manifest, before.manifest))
    if not ours[0] or (ours if card.scored else ours[:2]) != (theirs if card.scored else theirs[:2]):
        what = "its scorecard held more, of other weights or by another engine, type or library, which is gone"
        log.warning("%s: %s: %s", card.name, what, ", ".join(kept))
        return card
    again, asked = {(m.task, m.metric) for m in card.measurements}, tuple(f"{task}: " for task in card.manifest.tasks)
    earlier = before.only(kept)
    earlier = replace(earlier, measurements=tuple(m for m in earlier.measurements if (m.task, m.metric) not in again))
    said = [one for one in earlier.manifest.findings if not one.startswith(asked)]
    joined = merged([earlier, card])
    findings = [*said, *(f for f in card.manifest.findings if f not in said)]
    manifest = replace(joined.manifest, model=card.manifest.model, findings=findings)
    return replace(joined, step=card.step, failures=card.failures, manifest=manifest)


def journal_of(engine: Engine, name: str, out: Path | str | None) -> Journal | None:
    """Where a model's answers are kept within a task; None for a model without a fingerprint."""
    identity = identity_of(engine)
    if out is None or not identity.fingerprint:
        return None
    return Journal(_journal_file(out, name), " ".join(astuple(identity)))


def load_samples(out: Path, name: str, task: str) -> list[dict[str, Any]]:
    """What `save` wrote of a task's samples."""
    return [row for _, row in json_lines(out / "samples" / name / f"{task}.jsonl")]


def load_cards(out: Path) -> list[Scorecard]:
    """The finished scorecards of a folder: those with steps by their steps, then the others by name."""
    return sorted(all_cards(out, "*.json"), key=lambda card: (card.step is None, card.step or 0, card.name))


def all_cards(out: Path, pattern: str = "**/*.json") -> list[Scorecard]:
    """The finished scorecards of a folder, and of the folders below its `scorecards/`, in the order of their files."""
    files = sorted((out / "scorecards").glob(pattern))
    return [Scorecard.load(path) for path in files if not path.name.startswith(".")]


def lookup(
    checkpoint: Checkpoint, loaded: Mapping[str, Any], out: Path | str | None, loader: Loader
) -> Scorecard | None:
    """What an earlier run knows of the same weights and the same tasks, in one scorecard; None if nothing.

    Tasks that broke off, or that ask otherwise today, are left out; so is everything of a model without a fingerprint (a live or a
    served one), and what another kind of engine found, or weights of another type. Where the loader knows the type only of a loaded model,
    ask again with a `OneEngine`. A part that turns out to hold every task becomes the finished scorecard.
    """
    best: Scorecard | None = None
    for path, card in _cards(out, checkpoint.name):
        known = card.manifest
        identity = loader.identity(checkpoint.path)
        if not known.fingerprint or identity.fingerprint != known.fingerprint:
            continue
        if (known.engine, known.dtype) != (identity.engine, identity.dtype):
            continue
        sound = [task for task in known.tasks if _asks_the_same(card, task, loaded) and task not in card.failures]
        if len(sound) > (len(best.manifest.tasks) if best else 0):
            best = card.only(sound)
            if len(sound) == len(loaded["tasks"]) and path.suffix == ".partial":
                save(Scored(best), out)
    return best


def say_replaced(name: str, loaded: Mapping[str, Any], out: Path | str | None) -> None:
    """Says which tasks of a finished scorecard a new score takes the place of, since they were asked or graded in another way."""
    for path, card in _cards(out, name):
        again = [task for task in asks_otherwise(card, loaded) if task in loaded["tasks"] and task not in card.failures]
        if again and path.suffix == ".json":
            what = "with other prompts, or another judge or version, which is replaced"
            log.warning("%s: %r holds a score of %s %s", name, str(out), ", ".join(again), what)


def require_same_model(checkpoint: Checkpoint, out: Path | str | None, loader: Loader) -> None:
    """Raises ValueError if a folder holds a scorecard of this name, or a part of one, of another model: it would be replaced.

    The model at the same place is the same, even trained anew; so are the same weights at another place. A scorecard without one number
    is no loss.
    """
    for _, card in _cards(out, checkpoint.name):
        known = card.manifest
        if not card.scored or Path(known.model).resolve() == Path(checkpoint.path).resolve():
            continue
        if not known.fingerprint or known.fingerprint != loader.identity(checkpoint.path).fingerprint:
            raise ValueError(
                f"{str(out)!r} holds a scorecard {card.name!r} of another model, {known.model!r}, which that of {checkpoint.path!r} would "
                "replace: choose another folder (--out)"
            )


def asks_otherwise(card: Scorecard, loaded: Mapping[str, Any]) -> list[str]:
    """The tasks of a scorecard that are not among those loaded, or were asked in another way."""
    return [task for task in card.manifest.tasks if not _asks_the_same(card, task, loaded)]


def _asks_the_same(card: Scorecard, task: str, loaded: Mapping[str, Any]) -> bool:
    now = loaded["tasks"].get(task)
    if now is None:
        return False
    known, asks = card.manifest.tasks[task], task_manifest(now, len(now.eval_docs))
    # the template and the tokens are the model's, so they go with the fingerprint
    return replace(asks, chat_template=known.chat_template, tokens_sha256=known.tokens_sha256) == known


def _paths(out: Path | str, name: str) -> tuple[Path, Path]:
    """Of the finished scorecard, and of one that is being made."""
    folder = Path(out) / "scorecards"
    return folder / f"{name}.json", folder / f"{name}.partial"


def _journal_file(out: Path | str, name: str) -> Path:
    return Path(out) / "scorecards" / f"{name}.windows"


def _cards(out: Path | str | None, name: str) -> Iterator[tuple[Path, Scorecard]]:
    """The finished scorecard and the part of one, as far as they are there; a broken one counts as missing."""
    for path in _paths(out, name) if out is not None else ():
        if path.exists():
            with suppress(ValueError):
                yield path, Scorecard.load(path)


def _short(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample without what the prompt file holds already."""
    doc = sample["doc"]
    verdict = sample["filtered_resps"][0] if isinstance(sample["filtered_resps"][0], str) else None
    return {
        "id": str(doc.get("id", sample["doc_id"])), "prompt": doc.get("prompt", sample["arguments"][0][0]),
        "responses": [answer for answers in sample["resps"] for answer in answers],
        **{key: doc[key] for key in ("kind", "subtlety", "topic", "form") if key in doc},
        **({"verdict": json.loads(verdict)} if verdict and verdict.startswith("{") else {}),
    }  # fmt: skip
