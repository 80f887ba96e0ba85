"""Checkpoints for the rows that score models: the user's own, those of a short training of the miniature's shape, or of SmolLM2-135M."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Names a folder with checkpoint-<steps> folders to measure with, such as runs/demo/whp.
VARIABLE = "HP_BENCH_CHECKPOINTS"
#: Optimiser steps of the short training, and between two of its checkpoints.
STEPS, BETWEEN = 84, 12


@contextmanager
def checkpoints(count: int, *, real: bool = False) -> Iterator[list[Path]]:
    """Folders of one shape, one tokenizer and different weights.

    A short training on the miniature's stories, saved every `BETWEEN` steps; or, with `real`, SmolLM2-135M. Further ones are the last one
    with its weights moved a little, seeded.
    """
    given = os.environ.get(VARIABLE)
    if given:
        from hp_bench.scoring.checkpoints import checkpoints_in

        found = [Path(point.path).resolve() for point in checkpoints_in(given)]
        if len(found) < count:
            raise ValueError(f"{VARIABLE}={given!r} holds {len(found)} checkpoints, and this row needs {count}")
        yield found[:count]
        return
    with tempfile.TemporaryDirectory() as folder:
        yield list(_real(Path(folder), count) if real else _trained(Path(folder), count))


def _real(folder: Path, count: int) -> Iterator[Path]:
    from hp_bench.experiments.real.model import fetch
    from unlearn.models import load_model, load_tokenizer

    fetched = fetch("smollm2")
    yield fetched
    if count > 1:
        yield from _moved(load_model(fetched, device="cpu"), load_tokenizer(fetched), folder, range(1, count))


def _trained(folder: Path, count: int) -> Iterator[Path]:
    import torch

    from hp_bench.miniature.library import Library
    from hp_bench.miniature.pretrain import batches, initial_model, train, train_tokenizer
    from hp_bench.miniature.settings import Plan, Settings

    torch.set_num_threads(1)
    settings = Settings(steps=STEPS, target_stories=200, held_out=1)
    text = Library.write(Plan("harry-potter", 0, settings))
    tokenizer = train_tokenizer(text.rest, vocabulary=settings.vocabulary, context=settings.context)
    rest, target = (
        [[*ids, tokenizer.eos_token_id] for ids in tokenizer(list(stories))["input_ids"]]
        for stories in (text.rest, text.target)
    )
    model = initial_model(settings, tokenizer, seed=0)
    saved = 0
    for step, _ in enumerate(train(model, batches(rest, target, settings, 0), settings), 1):
        if step % BETWEEN == 0 and saved < count:
            yield _saved(model, tokenizer, folder / f"checkpoint-{step}")
            saved += 1
    yield from _moved(model, tokenizer, folder, range(saved, count))


def _moved(model: Any, tokenizer: Any, folder: Path, numbers: Sequence[int]) -> Iterator[Path]:
    import torch

    noise = torch.Generator().manual_seed(0)
    for number in numbers:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=noise) * 1e-4)
        yield _saved(model, tokenizer, folder / f"checkpoint-{(number + 1) * BETWEEN}")


def _saved(model: Any, tokenizer: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def few_prompts(folder: Path, count: int) -> Path:
    """A folder with the first prompts of each of the two familiarity tasks: for rows about growth, not about speed."""
    from hp_bench.probes.paths import prompts_dir

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("familiarity.jsonl", "token_probability.jsonl"):
        lines = (prompts_dir() / name).read_text(encoding="utf-8").splitlines()[:count]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
