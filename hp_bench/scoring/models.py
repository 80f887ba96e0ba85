"""The one door: every model's way to its scorecard, past what is known of it already.

store -> engine -> tasks -> store. Python's `hp_bench.score` and `curve`, the commands, stress and the experiments all come through here.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hp_bench.engines.fingerprint import fingerprint
from hp_bench.engines.loader import EngineSettings, Loader, OneEngine
from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.checkpoints import Checkpoint, model_name
from hp_bench.scoring.score import DEFAULT_TASKS, Scored, failed, load_tasks, score_engine
from hp_bench.scoring.store import journal_of, lookup, require_same_model, save, say_replaced
from unlearn.files import require_writable
from unlearn.progress import progress_row

log = logging.getLogger(__name__)


def score(
    model: Any,
    *,
    tasks: Sequence[str] = DEFAULT_TASKS,
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    step: int | None = None,
    out: str | Path | None = None,
    engine: str = "hf",
    **options: Any,
) -> Scorecard:
    """Scores one model; what `hp-bench score` does.

    Args:
        model: folder, hub id (or id@revision), unmerged PEFT adapter, quantised model, address of a completions server
            (http://host:port/v1), or a live `transformers` model.
        tasks: lm-eval tasks, tags or groups; the default is the paper's two familiarity tests.
        metadata: run-time choices of the tasks, as `lm_eval --metadata`: another target's `prompts` and `lexicon`, a judge.
        name: for tables; default: the model's.
        step: optimiser steps, if the model is a checkpoint.
        out: folder for scorecard and samples; what it holds already is not scored again. None: nothing is kept.
        engine: hf, vllm or endpoint.
        options: of the engine: `device`, `dtype`, `batch_size`, `tokenizer`, `base`, `revision`, and its own.

    Raises ValueError: a task is unknown, the model cannot be loaded, or the folder holds another model's scorecard of this name.
    """
    loaded = load_tasks(tasks, metadata)
    revision = options.pop("revision", None)
    if isinstance(model, str | Path):
        path = f"{model}@{revision}" if revision else str(model)
        loader = Loader(EngineSettings.of(engine, options))
    else:
        from hp_bench.engines.hf import HFEngine

        live = HFEngine(model, **options)
        path, loader = live.model, OneEngine(live)
    point = Checkpoint(name or model_name(path), path, step)
    with loader:
        require_same_model(point, out, loader)
        return score_one(loader, loaded, point, out=out, strict=True).card


def score_checkpoints(
    loader: Loader, loaded: Mapping[str, Any], checkpoints: Sequence[Checkpoint], *, out: str | Path | None = None
) -> list[Scored]:
    """Scores models by the tasks `loaded`, one after the other, weights swapped in place where they can be.

    `out`: folder for `scorecards/<name>.json` and `samples/<name>/<task>.jsonl`; a task that is there already, of the same weights in the
    same type and engine, and asked in the same way, is not asked again. Samples are returned only where it is None, so that memory does not
    grow with the checkpoints. A model that could not be loaded has a scorecard without numbers, whose `failures` say why.
    """
    scores: list[Scored] = []
    with progress_row("scoring models", len(checkpoints)) as advance:
        for checkpoint in checkpoints:
            scored = score_one(loader, loaded, checkpoint, out=out)
            scores.append(scored if out is None else replace(scored, samples={}))
            advance()
    return scores


def score_one(
    loader: Loader,
    loaded: Mapping[str, Any],
    checkpoint: Checkpoint,
    *,
    out: str | Path | None = None,
    strict: bool = False,
) -> Scored:
    """Scores one model, or takes what is known of it; see `score_checkpoints`.

    Raises ValueError where `out` cannot be written to, and, with `strict`, where the model cannot be loaded.
    """
    name, path, step = checkpoint.name, checkpoint.path, checkpoint.step
    known = lookup(checkpoint, loaded, out, loader)
    if known is not None and set(known.manifest.tasks) == set(loaded["tasks"]):
        return Scored(replace(known, step=step))
    if out is not None:
        require_writable(out)
    say_replaced(name, loaded, out)
    try:
        engine = loader(path)
    except (ValueError, RuntimeError, OSError) as error:
        if strict:
            raise
        log.debug("%s could not be loaded", name, exc_info=True)
        reason, kind = " ".join(str(error).split()), loader.settings.engine_of(path)
        same = fingerprint(path, loader.settings.base)
        scored = failed(loaded, reason, name=name, model=path, engine=kind, step=step, fingerprint=same)
    else:
        known = lookup(checkpoint, loaded, out, OneEngine(engine))  # only now is the type of its weights certain
        engine.lm.journal = journal_of(engine, name, out)
        scored = score_engine(
            engine, loaded, name=name, step=step, known=known, after_task=lambda part: save(part, out, finished=False)
        )
    save(scored, out)
    return scored
