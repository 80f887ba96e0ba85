"""`hp-bench probes`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from hp_bench.commands.options import Json, Seed, print_json


def probes(
    anchors: Annotated[Path, Option(help="anchors.jsonl of the target, made by `unlearn anchors`.")],
    out: Annotated[Path, Option(help="Folder for the three files. None of them may exist yet.")],
    corpus: Annotated[
        Path | None,
        Option(
            help="Text of the target: a .txt or .jsonl file, or a folder of them. Without it, prompts have no context."
        ),
    ] = None,
    familiarity: Annotated[int, Option(help="Largest number of prompts to complete.")] = 300,
    token_probability: Annotated[int, Option(help="Largest number of unfinished sentences.")] = 30,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Drafts prompts and a lexicon for another unlearn target.

    Writes familiarity.jsonl, token_probability.jsonl and lexicon.jsonl, for a person to edit. The prompts are passages of the corpus that
    stop before an anchor: rewrite them in your own words before you publish them.
    """
    from hp_bench.probes.drafts import draft
    from hp_bench.probes.passages import passages_of
    from unlearn.anchors.dictionary import read_anchors

    for name, value in (("familiarity", familiarity), ("token-probability", token_probability)):
        if value < 1:
            raise ValueError(f"--{name} must be at least 1, not {value}")
    drafts = draft(
        read_anchors(anchors),
        passages_of(corpus) if corpus is not None else [],
        familiarity=familiarity,
        token_probability=token_probability,
        seed=seed,
    )
    written = drafts.save(out)
    if as_json:
        print_json({"out": str(out), "lines": {path.name: count for path, count in written.items()}})
        return
    for path, count in written.items():
        typer.echo(f"{path}: {count} lines")
    typer.echo(f"Look through every line, then: lm_eval --tasks hp_bench --metadata prompts={out}")
