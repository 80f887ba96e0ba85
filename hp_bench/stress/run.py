"""A model under stress: the panel before and after its weights are rounded, or a few steps on harmless text or half of the facts, beside a
control.

A model that was made to look unfamiliar may still know. Rounding and relearning change every model's numbers a little; what counts is what
they change beyond the same stress's effect on a control that never knew (the twin).
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from hp_bench.engines.fingerprint import fingerprint
from hp_bench.engines.loader import EngineSettings, Loader
from hp_bench.engines.loading import load_model, load_tokenizer, resolve_device
from hp_bench.engines.source import Source, locate, stored_dtype, widest
from hp_bench.probes.passages import passages_of
from hp_bench.progress import quiet_transformers
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Scorecard, failures
from hp_bench.scoring.checkpoints import Checkpoint, model_name
from hp_bench.scoring.models import score_one
from hp_bench.scoring.score import failed, load_tasks
from hp_bench.scoring.store import asks_otherwise, save
from hp_bench.stress.answer_leaks import answers_of, first_given, lexicon_of
from hp_bench.stress.facts import FactRelearning, fact_tasks, halves, untaught
from hp_bench.stress.recovery import Recovery, recoveries
from hp_bench.stress.relearning import Relearning, blocks_of, relearn
from hp_bench.stress.rounding import Rounding, round_weights, usual_rounding
from unlearn.files import find_model, whole_folder, write_json
from unlearn.progress import progress_row

log = logging.getLogger(__name__)

#: What is measured unless other tasks are named.
PANEL = ("hp_panel",)

DEFAULT_BITS = (8, 4)

DEFAULT_SPLITS = 3

#: Beside the scorecards.
RESULT = "stress.json"

_FORMAT = 1


@dataclass(frozen=True)
class StressResult:
    """What stress brought back.

    Attributes:
        model: name of the model under stress.
        control: name of the control; "" without one.
        stresses: stress -> its settings.
        recoveries: every number under every stress; of relearnt facts also split by split, which no verdict rests on.
        failures: a sentence for every model or task that failed.
        given: the answer that the text to relearn from gives away, and where, if that was allowed; "" otherwise.
    """

    model: str
    control: str
    stresses: Mapping[str, Mapping[str, Any]]
    recoveries: tuple[Recovery, ...]
    failures: tuple[str, ...] = ()
    given: str = ""

    def verdicts(self) -> list[str]:
        """A sentence a stress: what came back, or that nothing was shown to."""
        return [self._verdict(stress) for stress in self.stresses]

    def _verdict(self, stress: str) -> str:
        rows = [one for one in self.recoveries if one.stress == stress and METRICS[one.metric].knowledge]
        than = f"beyond {self.control}" if self.control else "than before"
        if not rows:
            return f"{stress}: nothing was measured."
        if rows[0].broken:
            return f"{stress}: {self.model} is broken by it, so nothing can be said."
        back = [f"{one.metric} of {one.task} {one.told.value:+.2g}" for one in rows if one.came_back]
        if back:
            many = f"{len(back)} of {len(rows)} numbers ({'; '.join(back)})"
            return f"{stress}: {self.model} knows more {than} in {many}."
        return f"{stress}: no number of {len(rows)} shows more {than}. That is no proof that nothing is left."

    @classmethod
    def load(cls, path: Path | str) -> "StressResult":
        """Reads what `stress_test` wrote. Raises ValueError: the file is no such result."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content.pop("format") != _FORMAT:
                raise ValueError(f"another format than {_FORMAT}")
            return TypeAdapter(cls).validate_python(content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            said = " ".join(str(error).split())
            raise ValueError(f"{str(path)!r} is not the result of a stress test: {said}") from None


def stress_test(
    model: str | Path,
    *,
    control: str | Path | None = None,
    bits: Sequence[int] = DEFAULT_BITS,
    relearning: Relearning | None = None,
    text: str | Path | None = None,
    facts: FactRelearning | None = None,
    splits: int = DEFAULT_SPLITS,
    tasks: Sequence[str] = PANEL,
    metadata: Mapping[str, Any] | None = None,
    out: str | Path = "stress",
    settings: EngineSettings | None = None,
    allow_answers: bool = False,
) -> StressResult:
    """Scores a model and a control as they are and under every stress; what `hp-bench stress` does.

    Args:
        model: folder, hub id or unmerged PEFT adapter (merged before it is stressed).
        control: of a model that never knew, the twin; without one nothing tells what came back from what any model would do.
        bits: to which weights are rounded, each a stress of its own.
        relearning: the fine-tune; None: none.
        text: .txt or .jsonl file, or a folder of them, to relearn from.
        facts: the fine-tune on half of the facts that the tasks ask for, where the other half is asked; None: none.
        splits: how often the facts are halved anew; each makes two models, so that every fact is asked without being taught.
        tasks: lm-eval tasks, tags or groups.
        metadata: as for `hp_bench.score`.
        out: folder for scorecards, samples and stress.json; what it holds already is not scored again. One stressed model at a time is kept
            there while it is scored.
        settings: of the engine. Its dtype, where it is auto, is float32 where anything is learnt, otherwise the one that holds both models'
            weights.
        allow_answers: relearn even from a text that gives answers away; the result says so.

    Raises ValueError: a value is out of range, a model or file does not exist or cannot be loaded, the text gives answers away, or the
    model is served.
    """
    settings, out = settings or EngineSettings(), Path(out)
    stresses: list[Rounding | Relearning] = [usual_rounding(one) for one in dict.fromkeys(bits)]
    stresses += [relearning] if relearning else []
    if not stresses and facts is None:
        raise ValueError("no stress was asked for: name bits to round to, or steps to relearn")
    if relearning is not None and text is None:
        raise ValueError("relearning needs a text to learn from (--text)")
    if relearning is None and text is not None:
        raise ValueError(f"the text {str(text)!r} is for relearning, and no steps were asked for (--relearn)")
    if text is not None and not Path(text).exists():
        raise ValueError(f"text {str(text)!r} does not exist")
    models = _models(model, control, settings)
    loaded = load_tasks(tasks, metadata)
    given = _given(Path(text), loaded, metadata or {}, allow_answers) if text is not None else ""
    passages = passages_of(Path(text)) if text is not None else []
    of_facts = {"tasks": fact_tasks(loaded)} if facts else {}
    parts = halves(facts, splits, of_facts["tasks"]) if facts else []
    jobs: list[_Job] = [
        *((one, loaded, passages) for one in stresses),
        *((half.how, of_facts, half.passages) for half in parts),
    ]
    if settings.dtype == "auto":
        stored = [stored_dtype(locate(one, base=settings.base)) for one in models.values()]
        settings = replace(settings, dtype="float32" if relearning or facts else widest(stored))
    asked: list[Scorecard] = []
    cards: dict[str, dict[str, Scorecard]] = {}
    steps = len(models) * (1 + len(jobs))
    with Loader(settings, [*models.values()], one_kind=False) as loader, progress_row("stress", steps) as advance:
        for role, path in models.items():
            plain = score_one(loader, loaded if stresses else of_facts, Checkpoint(role, path), out=out, strict=True)
            cards[role] = {"plain": plain.card}
            advance()
            for job in jobs:
                cards[role][job[0].name] = _under(job, role, path, loader, out)
                advance()
            asked += cards[role].values()
            if facts:
                taught = [(cards[role].pop(half.how.name), half.taught) for half in parts]
                pairs = {f"{facts.name}-{n + 1}": taught[2 * n : 2 * n + 2] for n in range(splits if splits > 1 else 0)}
                cards[role] |= {name: untaught(name, pair) for name, pair in {facts.name: taught, **pairs}.items()}
    sides = [(own.pop("plain"), own) for own in cards.values()]
    every = {one.name: _settings(one, passages) for one in stresses}
    if facts:
        every[facts.name] = {**_settings(facts, [text for half in parts for text in half.passages]), "splits": splits}
    rows: list[Recovery] = []
    for names in (list(every), [name for name in sides[0][1] if name not in every]):
        under = [(own, {name: stressed[name] for name in names}) for own, stressed in sides]
        rows += recoveries(*under[0], under[1] if control is not None else None)
    result = StressResult(
        model=model_name(model), control=model_name(control) if control is not None else "",
        stresses=every, recoveries=tuple(rows), failures=tuple(failures(asked)), given=given,
    )  # fmt: skip
    write_json(out / RESULT, {"format": _FORMAT, **asdict(result)}, sort_keys=False)
    return result


def _models(model: str | Path, control: str | Path | None, settings: EngineSettings) -> dict[str, str]:
    """Folder or hub id of the model and, if there is one, of the control."""
    given = {"model": model, **({"control": control} if control is not None else {})}
    for one in given.values():
        if settings.engine_of(one) == "endpoint":
            raise ValueError(f"{str(one)!r} is served: its weights cannot be rounded or trained from here")
    models = {role: find_model(one) for role, one in given.items()}
    if len({locate(one, base=settings.base) for one in models.values()}) < len(models):
        raise ValueError(
            f"the control {str(control)!r} is the model itself; it must be one that never knew, such as a twin"
        )
    return models


def _given(text: Path, loaded: Mapping[str, Any], metadata: Mapping[str, Any], allowed: bool) -> str:
    asked = metadata.get("text")
    if asked is not None and Path(str(asked)).resolve() == text.resolve() and not allowed:
        raise ValueError(f"the text to relearn from, {str(text)!r}, is the one that the tasks ask for")
    leak = first_given(text, answers_of(loaded), lexicon_of(metadata))
    if leak is not None and not allowed:
        raise ValueError(
            f"the text to relearn from gives {leak.answer!r} away ({leak.where}): what is told cannot show what is remembered"
        )
    return f"{leak.answer} ({leak.where})" if leak else ""


def _settings(stress: Rounding | Relearning, passages: Sequence[str]) -> dict[str, Any]:
    digest = hashlib.sha256("\n\n".join(passages).encode()).hexdigest()
    return {**asdict(stress), **({"text_sha256": digest} if isinstance(stress, Relearning) else {})}


#: A stress, the tasks asked under it, and what is read in it.
_Job = tuple[Rounding | Relearning, Mapping[str, Any], Sequence[str]]


def _under(job: _Job, role: str, path: str, loader: Loader, out: Path) -> Scorecard:
    """A model's scorecard under one stress: an earlier run's, or a new one."""
    stress, loaded, passages = job
    name, settings = f"{role}-{stress.name}", loader.settings
    asked = {**asdict(loader.identity(path)), "settings": _settings(stress, passages)}
    record, folder = out / "models" / f"{name}.json", out / "models" / name
    if earlier := _earlier(record, asked, out / "scorecards" / f"{name}.json", loaded):
        return earlier
    try:
        if isinstance(stress, Relearning):
            loader.close()  # training needs the device's memory
        about = _make(locate(path, base=settings.base), stress, passages, folder, settings)
    except (ValueError, RuntimeError) as error:
        log.debug("%s was not made", name, exc_info=True)
        scored = failed(loaded, " ".join(str(error).split()), name=name, model=path, engine=settings.engine_of(path))
        save(scored, out)
        return scored.card
    write_json(record, {"asked": asked, "made": fingerprint(str(folder)), **about})
    card = score_one(loader, loaded, Checkpoint(name, str(folder)), out=out).card
    shutil.rmtree(folder)
    return card


def _make(
    source: Source, stress: Rounding | Relearning, passages: Sequence[str], folder: Path, settings: EngineSettings
) -> dict[str, Any]:
    """Loads a model, stresses it, and saves it with its tokenizer, so that any engine can load it; what the folder holds is replaced.

    Returns what is worth knowing of it: the `share` of weights rounded, or the `first_loss` and `last_loss`, nats a token.

    An adapter is merged. The settings say in which type to load and save it (relearning is in float32 whatever it is), the device to
    relearn on (rounding is done on the CPU, where it gives the same bits everywhere), and the tokenizer where the model has none beside it.

    Raises ValueError: the model cannot be loaded, is quantised, or does not survive it.
    """
    words, dtype = load_tokenizer(source, settings.tokenizer), settings.dtype
    learning = isinstance(stress, Relearning)
    device = resolve_device(settings.device) if learning else "cpu"
    model = load_model(source, dtype="float32" if learning else dtype, device=device)
    if source.base is not None:
        model = model.merge_and_unload()
    if isinstance(stress, Rounding):
        about = {"share": round_weights(model, stress)}
    else:
        context = getattr(model.config, "max_position_embeddings", None)
        first, last = relearn(model, blocks_of(passages, words, block=stress.block, context=context), stress)
        about = {"first_loss": first, "last_loss": last}
    if learning and dtype != "auto":
        model = model.to(getattr(torch, dtype))
    shutil.rmtree(folder, ignore_errors=True)
    with whole_folder(folder) as part, quiet_transformers():
        model.save_pretrained(part)
        words.save_pretrained(part)
    return about


def _earlier(record: Path, asked: Mapping[str, Any], path: Path, loaded: Mapping[str, Any]) -> Scorecard | None:
    """The finished scorecard of a model that was made from the same weights in the same way, and asked the same."""
    try:
        about = json.loads(record.read_text(encoding="utf-8"))
        card = Scorecard.load(path)
    except (OSError, ValueError):
        return None
    same = asked["fingerprint"] and about.get("asked") == json.loads(json.dumps(asked))
    sound = not card.failures and set(card.manifest.tasks) == set(loaded["tasks"]) and not asks_otherwise(card, loaded)
    return card if same and sound and card.manifest.fingerprint == about.get("made") else None
