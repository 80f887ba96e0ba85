"""`unlearn anchors`: makes an anchor dictionary from a corpus, and shows it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Anchors in the table; the file and --json hold all.
_SHOWN = 60

#: What decided, where no model did.
_BLIND = "nothing: types go by the words around a name, translations by lot; --model BASELINE has them read"

CorpusName = Annotated[
    str,
    typer.Option(
        help="Text to unlearn: text, .epub, .html or JSON lines file, folder of these, dataset folder or hub id."
    ),
]
Seed = Annotated[int, typer.Option(help="Random seed.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def anchors(
    corpus: CorpusName,
    out: Annotated[Path, typer.Option(help="File to write, such as anchors.jsonl. It must not exist yet.")],
    reference: Annotated[
        str | None, typer.Option(help="Text to contrast with, given like --corpus. Default: general English.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(help="Largest number of anchors to keep.", show_default="500; 1500 with --endpoint")
    ] = None,
    min_count: Annotated[
        int | None,
        typer.Option(help="Smallest number of times that an anchor must occur.", show_default="3; 1 with --endpoint"),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="Address of a language model to ask, such as http://localhost:8000/v1. Its key is read from OPENAI_API_KEY.",
            metavar="URL",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder or hub id of the baseline, which chooses translations that read well. With --endpoint: name of the language model."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Device of the baseline: auto, cpu, cuda or mps.")] = "auto",
    dtype: Annotated[
        str, typer.Option(help="Number type of the baseline: auto, float32, bfloat16 or float16.")
    ] = "bfloat16",
    passages: Annotated[int, typer.Option(help="With --endpoint: number of passages to ask about.")] = 200,
    concurrency: Annotated[int, typer.Option(help="With --endpoint: questions asked at the same time.")] = 8,
    max_tokens: Annotated[
        int,
        typer.Option(help="With --endpoint: longest reply, in tokens. A longer reply is cut off and cannot be read."),
    ] = 2048,
    cache: Annotated[
        Path | None,
        typer.Option(help="With --endpoint: file for cached replies.", show_default="OUT with .replies.jsonl"),
    ] = None,
    entities: Annotated[
        bool, typer.Option("--entities", help="With --endpoint: take first name, surname and full name as one person.")
    ] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Makes an anchor dictionary from a text.

    Anchors are the names and terms of the text. They are found by contrast with other text or, with --endpoint, by asking a language model.
    A person should look through the result.
    """
    from unlearn.corpus.corpus import Corpus
    from unlearn.files import require_writable

    if out.exists():
        raise ValueError(f"{str(out)!r} is there already, perhaps edited: choose another name or delete it")
    if endpoint and not model:
        raise ValueError("--endpoint needs --model, the model's name there")
    if endpoint and reference:
        raise ValueError("--reference is for dictionaries by contrast; a language model needs none")
    require_writable(out.parent)
    text = Corpus(corpus)
    text.require_text()
    limits: dict[str, Any] = {name: n for name, n in (("top", top), ("min_count", min_count)) if n is not None}
    if endpoint and model:
        from unlearn.anchors.language_model import UnansweredError, language_model_anchors
        from unlearn.chat import Endpoint

        try:
            interview = language_model_anchors(
                text, Endpoint(endpoint, model, concurrency=concurrency, max_tokens=max_tokens),
                cache=cache or out.with_suffix(".replies.jsonl"),
                passages=passages, entities=entities, seed=seed, **limits,
            )  # fmt: skip
        except UnansweredError as error:
            typer.echo(f"unlearn: {error}", err=True)
            raise typer.Exit(1) from None
        draft, content, measure = interview.draft, interview.to_dict(), "replies"
    else:
        from unlearn.anchors.contrast.contrast import contrast_anchors

        fit = None
        if model:
            from unlearn.anchors.contrast.reader import Fit
            from unlearn.models import load_model, load_tokenizer
            from unlearn.progress import quiet_bars

            quiet_bars()
            fit = Fit(load_model(model, device=device, dtype=dtype), load_tokenizer(model))
        draft = contrast_anchors(
            text, reference=Corpus(reference, key="reference") if reference else None, seed=seed, fit=fit, **limits
        )
        content, measure = draft.to_dict() | {"read by": model or _BLIND}, "contrast"
    draft.save(out)
    for warning in text.warnings():
        typer.echo(warning, err=True)
    content["out"] = str(out)
    if as_json:
        typer.echo(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        _print(content, measure, draft.dictionary().report())


def _print(content: dict[str, Any], measure: str, loaded: str) -> None:
    console = Console()
    rows = content.pop("anchors")
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("anchor", "type", "count", measure):
        table.add_column(name, justify="right" if name in ("count", measure) else "left", no_wrap=True)
    table.add_column("translations", overflow="fold")
    for row in rows[:_SHOWN]:
        numbers = (str(row["count"]), f"{row['score']:g}")
        table.add_row(*map(Text, (row["anchor"], row["type"], *numbers, ", ".join(row["translations"]))))
    console.print(table)
    more = f"{len(rows) - _SHOWN} more, and " if len(rows) > _SHOWN else ""
    console.print(f"{more}passages where each stands: in the file", style="dim", highlight=False)
    for reason, number in content.pop("dropped").items():
        console.print(f"left out: {number}, {reason}", highlight=False)
    for key, value in content.items():
        console.print(f"{key}: {value}", highlight=False, soft_wrap=True)
    console.print(f"as it will be loaded: {loaded}", highlight=False, soft_wrap=True)
