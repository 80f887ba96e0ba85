"""Scorecards and samples on disk: `scorecards/<name>.json` and `samples/<name>/<task>.jsonl`; what is there already is not scored again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonlines

from hp_bench.engines import ENGINES, engine_class
from hp_bench.engines.fingerprint import fingerprint
from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.manifest import is_chat, task_manifest
from hp_bench.scoring.score import Scored
from unlearn.files import write_lines

if TYPE_CHECKING:
    from hp_bench.engines.loader import EngineSettings


def keep(scored: Scored, out: Path) -> None:
    """Writes a scorecard and its samples; the scorecard last, so that one that exists is complete."""
    _write_samples(scored, out)
    scored.card.save(out / "scorecards" / f"{scored.card.name}.json")
    _partial(out, scored.card.name).unlink(missing_ok=True)


def keep_part(scored: Scored, out: Path) -> None:
    """Writes what is known after a task, beside the place of the finished scorecard."""
    _write_samples(scored, out)
    scored.card.save(_partial(out, scored.card.name))


def keep_known(card: Scorecard, out: Path) -> None:
    """Writes a scorecard of which everything was known, unless the finished one says the same."""
    try:
        finished = Scorecard.load(out / "scorecards" / f"{card.name}.json").manifest
        same = replace(finished, tasks={}) == replace(card.manifest, tasks={})
        same = same and card.manifest.tasks.items() <= finished.tasks.items()
    except ValueError:  # there is none, or it is broken
        same = False
    if not same:
        keep(Scored(card), out)


def load_samples(out: Path, name: str, task: str) -> list[dict[str, Any]]:
    """What `keep` wrote of a task's samples; empty if there are none."""
    path = out / "samples" / name / f"{task}.jsonl"
    if not path.exists():
        return []
    with jsonlines.open(path) as lines:
        return list(lines)


def load_cards(out: Path) -> list[Scorecard]:
    """The finished scorecards of a folder: those with steps by their steps, then the others by name."""
    cards = [
        Scorecard.load(path) for path in sorted((out / "scorecards").glob("*.json")) if not path.name.startswith(".")
    ]
    return sorted(cards, key=lambda card: (card.step is None, card.step or 0, card.name))


def scored_earlier(
    name: str, model: str, loaded: Mapping[str, Any], out: Path, engine: Any, *, base: str | None = None
) -> Scorecard | None:
    """What an earlier run knows of the same weights and the same tasks: a finished scorecard, or a part of one; None if nothing.

    Tasks that broke off, or that ask otherwise today, are left out; so is everything of a model without a fingerprint (a live or a
    served one), and what another kind of engine found, or weights of another type. Of a `hp_bench.engines.loader.Loader` both are what it
    will open, as far as that is known; where the type is not, or turns out to be another, ask again with the engine it opened.
    """
    for path in (out / "scorecards" / f"{name}.json", _partial(out, name)):
        if not path.exists():
            continue
        try:
            card = Scorecard.load(path)
        except ValueError:
            continue  # cut short by a full disk, or of an older format: scored again
        if not card.manifest.fingerprint or card.manifest.fingerprint != fingerprint(model, base):
            continue
        if (card.manifest.engine, card.manifest.dtype) != _computes_with(engine, model):
            continue
        sound = [
            task for task in card.manifest.tasks if _asks_the_same(card, task, loaded) and task not in card.failures
        ]
        if sound:
            return _only(card, sound)
    return None


def require_same_model(name: str, model: str, out: Path, *, base: str | None = None) -> None:
    """Raises ValueError if a folder holds a scorecard of this name, or a part of one, of another model: it would be replaced.

    The model at the same place is the same, even trained anew; so are the same weights at another place.
    """
    for path in (out / "scorecards" / f"{name}.json", _partial(out, name)):
        if not path.exists():
            continue
        try:
            known = Scorecard.load(path).manifest
        except ValueError:
            continue
        if Path(known.model).resolve() == Path(model).resolve():
            continue
        if not known.fingerprint or known.fingerprint != fingerprint(model, base):
            raise ValueError(
                f"{str(out)!r} holds a scorecard {name!r} of another model, {known.model!r}, which that of {model!r} would replace: choose "
                "another folder (--out)"
            )


def engine_name(settings: "EngineSettings", model: str) -> str:
    """What a model's scorecard will call its engine, whether it is asked for by a key of ENGINES or as package.module:class."""
    asked = settings.engine_of(model)
    if asked in ENGINES:
        return asked
    try:
        return str(engine_class(asked).name)
    except (ValueError, AttributeError):  # said when it is opened
        return asked


def asks_otherwise(card: Scorecard, loaded: Mapping[str, Any]) -> list[str]:
    """The tasks of a scorecard that are not among those loaded, or were asked in another way."""
    return [task for task in card.manifest.tasks if not _asks_the_same(card, task, loaded)]


def _computes_with(engine: Any, model: str) -> tuple[str, str]:
    """Name and type of weights of an engine, or of the one that a loader will open; "auto" where only the loaded model can tell."""
    from hp_bench.engines.loader import Loader

    if isinstance(engine, Loader):
        return engine_name(engine.settings, model), engine.dtype_of(model)
    return engine.name, engine.dtype


def _asks_the_same(card: Scorecard, task: str, loaded: Mapping[str, Any]) -> bool:
    now = loaded["tasks"].get(task)
    if now is None:
        return False
    known, asks = card.manifest.tasks[task], task_manifest(now, len(now.eval_docs))
    if is_chat(now):  # the template is the model's, so it goes with the fingerprint
        asks = replace(asks, chat_template=known.chat_template)
    return asks == known


def _only(card: Scorecard, tasks: list[str]) -> Scorecard:
    return replace(
        card,
        measurements=tuple(m for m in card.measurements if m.task in tasks or m.task not in card.manifest.tasks),
        items={task: card.items[task] for task in tasks},
        values={task: card.values[task] for task in tasks},
        manifest=replace(card.manifest, tasks={task: card.manifest.tasks[task] for task in tasks}),
        failures={},
    )


def _partial(out: Path, name: str) -> Path:
    return out / "scorecards" / f"{name}.partial"


def _write_samples(scored: Scored, out: Path) -> None:
    for task, samples in scored.samples.items():
        path = out / "samples" / scored.card.name / f"{task}.jsonl"
        write_lines(path, (_short(sample) for sample in samples))


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
