"""Familiarity curves while a Hugging Face Trainer trains, whatever it trains with."""

import inspect
import logging
import random
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hp_bench.curves.curve import draw
from hp_bench.engines.fit import require_tokenizer
from hp_bench.engines.hf import HFEngine
from hp_bench.engines.loading import load_tokenizer
from hp_bench.engines.source import Source
from hp_bench.judges.grades import Verdict
from hp_bench.judges.lexicon import LexiconJudge
from hp_bench.results.compare import broken
from hp_bench.results.curve import Curve
from hp_bench.results.scorecard import Scorecard, failures
from hp_bench.scoring.score import DEFAULT_TASKS, Scored, load_tasks, score_engine
from hp_bench.scoring.store import asks_otherwise, load_cards, save

log = logging.getLogger(__name__)


class FamiliarityCallback(TrainerCallback):
    """Scores the model at the start, every so many optimiser steps and at the end of training.

        trainer.add_callback(FamiliarityCallback(every=20))

    Every number goes through the Trainer's own log as `<task>/<number>`, so that whatever draws its loss (W&B, TensorBoard, trackio)
    draws the curve; scorecards, samples, curve.png and curve.svg are written too. Training is left as it was: random states, train or
    eval mode of every module, tokenizer, weights.

    With several processes each of them scores the same prompts at the same time, since a sharded model (FSDP) answers only if all take
    part; the first one writes. Scoring that fails is logged and does not stop the training; nor does a folder that
    cannot be read or written.

    Args:
        every: optimiser steps between two scores.
        tasks: lm-eval tasks, tags or groups.
        metadata: run-time choices of the tasks, as `lm_eval --metadata`.
        out: folder for scorecards/, samples/ and the figures; default: the Trainer's output_dir; of `unlearn`, its run directory.
        batch_size: prompts at a time.
        at_start: whether to score the model before the first step, as step 0.
        stop_at: ends the training at the first score after step 0 in which the familiarity (0 to 5) of every completion task is at most
            this; where the Trainer saves by steps or epochs, that step is saved. Such a familiarity was looked at to choose the model:
            report one of other prompts. A run that goes on from the step at which it had ended takes one more step, as every Trainer
            does, and ends unscored. None: train to the end.

    Raises:
        ValueError: every or batch_size is below 1, or stop_at outside 0 to 5; when training begins, a task is unknown, none gives the
            familiarity that stop_at needs, or there is no tokenizer.
    """

    def __init__(
        self,
        every: int = 20,
        *,
        tasks: Sequence[str] = DEFAULT_TASKS,
        metadata: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
        batch_size: int = 64,
        at_start: bool = True,
        stop_at: float | None = None,
    ) -> None:
        for name, value in (("every", every), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value}")
        if stop_at is not None and not 0 <= stop_at <= 5:
            raise ValueError(f"stop_at is a familiarity, 0 to 5, not {stop_at}")
        self.every = every
        self.cards: list[Scorecard] = []
        self._tasks, self._metadata = list(tasks), dict(metadata or {})
        self._out = Path(out) if out is not None else None
        self._batch_size, self._at_start, self._stop_at = batch_size, at_start, stop_at
        self._loaded: dict[str, Any] = {}
        self._ended = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Builds the tasks, once, and scores step 0."""
        with _untouched(given["model"]):
            self._loaded = load_tasks(self._tasks, self._metadata)
            require_tokenizer(_tokenizer(given, given["model"]), str(getattr(given["model"], "name_or_path", "")))
        familiarity = any("familiarity" in task.aggregation() for task in self._loaded["tasks"].values())
        if self._stop_at is not None and not familiarity:
            raise ValueError(
                f"stop_at needs a task with a familiarity, such as hp_familiarity, beside {', '.join(self._tasks)}"
            )
        if not state.is_world_process_zero:
            _leave_judging_to_the_first(self._loaded)
        if state.global_step:  # goes on from a checkpoint: what was scored before is part of the curve
            with _logged(f"the scorecards in {self._out or args.output_dir} could not be read"):
                earlier = [card for card in load_cards(self._folder(args)) if card.step is not None]
                earlier = [card for card in earlier if (card.step or 0) <= state.global_step]
                self.cards = [card for card in earlier if not asks_otherwise(card, self._loaded)]
            self._ended = self._stop_at is not None and _told_to_all(self._forgotten(state.global_step))
        elif self._at_start:
            self._score(args, state, control, given)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Scores, if it is time; ends the training, if the model is as unfamiliar as asked."""
        if self._ended:
            control.should_training_stop = True
            return
        if state.global_step % self.every == 0:
            self._score(args, state, control, given)
            if self._stop_at is not None and _told_to_all(self._forgotten(state.global_step)):
                if state.is_world_process_zero:
                    log.warning("step %d: familiarity is at most %g; training ends", state.global_step, self._stop_at)
                self._ended = control.should_training_stop = True
                control.should_save |= args.save_strategy != "no"

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Scores the last step, and draws the curve."""
        if not self._ended and (not self.cards or self.cards[-1].step != state.global_step):
            self._score(args, state, control, given)
        if state.is_world_process_zero and self.cards:
            with _logged("the curve could not be drawn"):
                draw([Curve(self._folder(args).resolve().name, tuple(self.cards))], self._folder(args))

    def _score(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, given: Mapping[str, Any]
    ) -> None:
        trainer = _calling_trainer()
        model = given["model"]
        name = f"checkpoint-{state.global_step}" if state.global_step else "baseline"
        scored = None
        with _untouched(model), _logged(f"step {state.global_step} could not be scored"):
            engine = HFEngine(model, tokenizer=_tokenizer(given, model), batch_size=self._batch_size)
            scored = _as_trained(score_engine(engine, self._loaded, name=name, step=state.global_step), args)
        if scored is None:
            return
        self.cards = [*(card for card in self.cards if (card.step or 0) < state.global_step), scored.card]
        if state.is_world_process_zero:
            for sentence in failures([scored.card]):
                log.error(sentence)
            with _logged(f"the score of step {state.global_step} could not be kept"):
                save(scored, self._folder(args))
        due = control.should_log
        numbers = {f"{m.task}/{m.metric}": m.value for m in scored.card.measurements if m.value is not None}
        Trainer.log(trainer, numbers)  # not a subclass's: TRL's would add its running means, and begin them anew
        control.should_log = due  # Trainer takes any log for the one that was due, and would leave its own out

    def _forgotten(self, step: int) -> bool:
        """Whether the score of this step is whole, no model that talks nonsense, and every familiarity in it as low as asked."""
        last = self.cards[-1] if self.cards else None
        if last is None or last.step != step or last.failed:
            return False
        first = self.cards[0] if self.cards[0].step == 0 else None
        if sentence := broken(last, first):
            log.warning("step %d: %s; training goes on", step, sentence)
            return False
        values = [one.value for one in last.measurements if one.metric == "familiarity"]
        return bool(values) and all(value is not None and value <= (self._stop_at or 0.0) for value in values)

    def _folder(self, args: TrainingArguments) -> Path:
        given = Path(args.output_dir or ".")
        work = given.resolve()
        runs = (above for above in (work, *work.parents[:2]) if (above / "checkpoints" / "fingerprint.json").is_file())
        return self._out or next(runs, given)


def _told_to_all(forgotten: bool) -> bool:
    """What the first process found: it alone has the judge's verdicts, and all must stop at the same step."""
    from accelerate.utils import broadcast_object_list

    told = [forgotten]
    broadcast_object_list(told)
    return told[0]


def _calling_trainer() -> Trainer:
    """The Trainer whose event is being handled. It hands its callbacks everything but itself, and it alone can log to all who listen."""
    for frame, _ in traceback.walk_stack(inspect.currentframe()):
        if isinstance(caller := frame.f_locals.get("self"), Trainer):
            return caller
    raise RuntimeError("FamiliarityCallback is called by a transformers.Trainer, and by nothing else")


def _tokenizer(given: Mapping[str, Any], model: Any) -> Any:
    processing = given.get("processing_class")
    if processing is None:
        return load_tokenizer(Source(str(getattr(model, "name_or_path", ""))))
    return getattr(processing, "tokenizer", processing)


def _as_trained(scored: Scored, args: TrainingArguments) -> Scored:
    """The scorecard says how the numbers were computed: Trainer leaves its mixed precision on the model."""
    mixed = "bfloat16" if args.bf16 else "float16" if args.fp16 else ""
    if not mixed or mixed == scored.card.manifest.dtype:
        return scored
    manifest = replace(scored.card.manifest, dtype=f"{scored.card.manifest.dtype}, {mixed} autocast")
    return replace(scored, card=replace(scored.card, manifest=manifest))


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """A full disk, a lost mount or a broken file is said and no more: training goes on, and the other processes wait for this one."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        log.error("%s: %s", what, " ".join(str(error).split()))


def _leave_judging_to_the_first(loaded: Mapping[str, Any]) -> None:
    """In the processes that write nothing: a language model behind an address is asked once, not once a process."""

    def grade(items: Sequence[Any]) -> list[Verdict]:
        return [Verdict(grade=None, unscored="judged by the first process") for _ in items]

    for task in loaded["tasks"].values():
        judge = getattr(task, "judge", None)
        if judge is not None and not isinstance(judge, LexiconJudge):
            task.judge = SimpleNamespace(name=judge.name, grade=grade)


@contextmanager
def _untouched(model: Any) -> Iterator[None]:
    """Puts back whatever scoring changes: random states, and the mode of every module."""
    modes = [(module, module.training) for module in model.modules()]
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        random.setstate(states[0])
        np.random.set_state(states[1])
