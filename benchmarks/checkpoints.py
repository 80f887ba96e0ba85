"""Checkpoints for the rows that score models: the user's own, or those of a short training of the miniature's shape."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Names a folder with checkpoint-<steps> folders to measure with, such as runs/demo/whp.
VARIABLE = "HP_BENCH_CHECKPOINTS"
#: Optimiser steps of the short training, and between two of its checkpoints.
STEPS, BETWEEN = 84, 12


@contextmanager
def checkpoints(count: int) -> Iterator[list[Path]]:
    """Folders `checkpoint-<steps>` of one shape, one tokenizer and different weights.

    A short training on the miniature's stories, saved every `BETWEEN` steps. Further checkpoints are the last one with its weights moved a
    little, seeded.
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
        yield list(_trained(Path(folder), count))


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
    noise = torch.Generator().manual_seed(0)
    for number in range(saved, count):
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
