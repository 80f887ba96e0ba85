"""`hp-bench probes`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hp_bench.commands.options import Json, Seed, print_json

if TYPE_CHECKING:
    from hp_bench.engines.loader import Loader

#: A familiarity that models have which never read the text (docs/real.md): of prompts that cannot show less nothing follows.
WIDE = 0.5


def probes(
    *,
    anchors: Path,
    out: Path,
    corpus: Path | None = None,
    familiarity: int = 300,
    token_probability: int = 30,
    model: list[str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Drafts prompts and a lexicon for another unlearn target.

    Writes familiarity.jsonl, token_probability.jsonl and lexicon.jsonl, for a person to edit. The prompts are passages of the corpus that
    stop before an anchor: rewrite them in your own words before you publish them.

    Args:
        anchors: anchors.jsonl of the target, made by `unlearn anchors`.
        out: Folder for the three files. None of them may exist yet.
        corpus: Text of the target: a .txt or .jsonl file, or a folder of them. Without it, prompts have no context.
        familiarity: Largest number of prompts to complete.
        token_probability: Largest number of unfinished sentences.
        model: Baseline that picks generic words which fit the sentence. Give more models to see how many prompts each one knows.
        device: Device of the models: auto, cpu, cuda or mps.
        dtype: Number type of the models: auto, float32, bfloat16 or float16.
    """
    from hp_bench.engines.loader import EngineSettings, Loader
    from hp_bench.probes.drafts import draft, knows
    from hp_bench.probes.passages import passages_of
    from hp_bench.results.statistics import familiarity_interval
    from unlearn.anchors.dictionary import read_anchors

    most = {"familiarity": familiarity, "token_probability": token_probability}
    for name, value in most.items():
        if value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
    with Loader(EngineSettings(device=device, dtype=dtype), model or (), one_kind=False) as loader:
        passages = passages_of(corpus, prose=True) if corpus is not None else []
        fit = partial(_fits, loader, model[0]) if model else None
        drafts = draft(read_anchors(anchors), passages, **most, seed=seed, fit=fit)
        known = {one: knows(drafts.token_probability, partial(_fits, loader, one)) for one in model or ()}
    written = drafts.save(out)
    if as_json:
        print_json({"out": str(out), "lines": {path.name: count for path, count in written.items()}, "known": known})
        return
    for path, count in written.items():
        typer.echo(f"{path}: {count} lines")
    for one, share in known.items():
        typer.echo(
            f"{one}: in {share:.0%} of {len(drafts.token_probability)} sentences the book's word is likelier than any generic one"
        )
    prompts = len(drafts.familiarity)
    if (high := familiarity_interval(0, 0, max(prompts, 1)).high) > WIDE:
        typer.echo(
            f"Few prompts: of {prompts} even a familiarity of 0 has the interval [0, {high:.2f}]. More text gives more."
        )
    if not model:
        typer.echo("Generic words are drawn blindly: with --model BASELINE they must fit the sentence.")
    typer.echo(f"Look through every line, then: hp-bench score MODEL --metadata prompts={out}")


def _fits(loader: "Loader", model: str, prompt: str, words: Sequence[str]) -> list[float]:
    from lm_eval.api.instance import Instance

    asked = [Instance("loglikelihood", {}, (prompt, f" {word}"), number) for number, word in enumerate(words)]
    return [fit for fit, _ in loader(model).lm.loglikelihood(asked, disable_tqdm=True)]
