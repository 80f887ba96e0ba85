"""Options and output that several commands share."""

import functools
import gc
import inspect
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

if TYPE_CHECKING:
    from hp_bench.engines.loader import EngineSettings

Seed = Annotated[int, Option(help="Random seed.", min=0)]

Json = Annotated[bool, Option("--json", help="Print the result as JSON.")]


#: Settings of our tasks.
_METADATA = (
    "prompts", "lexicon", "judge", "text", "thinking_tokens", "strict", "quick", "vocabulary", "windows", "stride", "choice_seed",
    "leak_seed", "recall_seed", "chat_template_args", "enable_thinking",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What every command that scores is told: lm-eval tasks, tags or groups; metadata for them; settings of the engine."""

    tasks: list[str]
    metadata: dict[str, Any]
    settings: "EngineSettings"

    def load_tasks(self) -> dict[str, Any]:
        """The tasks. What the libraries brought along stays: to look through it for garbage after every model takes as long as a swap."""
        from hp_bench.scoring.score import load_tasks

        loaded = load_tasks(self.tasks, self.metadata)
        gc.freeze()
        return loaded


def scores(tasks: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options of every command that scores, `tasks` by default; it gets them as one `Run`, its argument `run`."""

    def declare(command: Callable[..., None]) -> Callable[..., None]:
        shared = inspect.signature(_run).parameters
        own = [one for one in inspect.signature(command).parameters.values() if one.name != "run"]

        @functools.wraps(command)
        def called(**given: Any) -> None:
            run = _run(**{name: given.pop(name) for name in shared})
            command(**given, run=run)

        every = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *shared.values())]
        every = [one.replace(default=tasks) if one.name == "tasks" else one for one in every]
        called.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        called.__annotations__ = {one.name: one.annotation for one in every}
        return called

    return declare


def _run(
    tasks: Annotated[
        str, Option(help="Tasks, tags or groups of lm-eval, separated by commas. hp_utility measures general ability.")
    ],
    engine: Annotated[
        str, Option(help="hf (transformers), vllm or endpoint (a server). An address as model always uses endpoint.")
    ] = "hf",
    metadata: Annotated[
        list[str] | None,
        Option(
            help="Settings of the tasks as key=value, one or more: prompts=FILE, lexicon=FILE, judge=NAME, thinking_tokens=N (tokens for "
            "what a model thinks before it answers; 2048)."
        ),
    ] = None,
    device: Annotated[str, Option(help="Device: auto, cpu, cuda or mps.")] = "auto",
    dtype: Annotated[str, Option(help="Number type of the weights: auto, float32, bfloat16 or float16.")] = "auto",
    batch_size: Annotated[int, Option(help="Prompts per batch. 0: the engine chooses.")] = 0,
    tokenizer: Annotated[str, Option(help="Tokenizer (folder or hub id) for models that come without one.")] = "",
    base: Annotated[str, Option(help="Base model for adapters, instead of the one that the adapter names.")] = "",
    engine_arg: Annotated[
        list[str] | None,
        Option(help="Settings of the engine as key=value, one or more: tensor_parallel_size=8, num_concurrent=16."),
    ] = None,
) -> Run:  # fmt: skip
    """The options as one value; an unknown engine is an error before anything is loaded."""
    from hp_bench.engines import ENGINES
    from hp_bench.engines.loader import EngineSettings

    if engine not in ENGINES and ":" not in engine:
        raise ValueError(f"engine {engine!r} is unknown; allowed: {', '.join(ENGINES)}")
    if batch_size < 0:
        raise ValueError(f"batch size must be 1 or more, or 0 for the engine's own choice, not {batch_size}")
    settings = EngineSettings(
        engine=engine, device=device, dtype=dtype, batch_size=batch_size or None, tokenizer=tokenizer or None, base=base or None,
        arguments=_pairs(engine_arg, "--engine-arg"),
    )  # fmt: skip
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    if not names:
        raise ValueError(f"--tasks {tasks!r} names no task; `hp-bench tasks` lists ours")
    chosen = _pairs(metadata, "--metadata")
    unknown = [key for key in chosen if key not in _METADATA and not key.startswith("judge_")]
    if unknown and all(name.startswith("hp_") for name in names):  # others' tasks have settings of their own
        raise ValueError(
            f"--metadata {unknown[0]!r} is no setting of these tasks; allowed: {', '.join(_METADATA)}, judge_NAME"
        )
    return Run(names, chosen, settings)


def _pairs(words: Sequence[str] | None, option: str) -> dict[str, Any]:
    """`key=value` words, several in one with commas between, or a JSON object, as lm_eval takes them; numbers and booleans as such."""
    import yaml

    values: dict[str, Any] = {}
    for word in (
        part for one in words or () for part in ([one] if one.startswith("{") else re.split(r",(?=\w+=)", one))
    ):
        if word.startswith("{"):
            try:
                values |= json.loads(word)
            except ValueError as error:
                raise ValueError(f"{option} {word!r} is no JSON object: {error}") from None
            continue
        key, separator, value = word.partition("=")
        if not separator or not key:
            raise ValueError(f"{option} {word!r} is not key=value")
        read = yaml.safe_load(value)
        values[key] = read if isinstance(read, int | float | bool) else value
    return values


def print_json(content: Any) -> None:
    """What --json prints."""
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False))


def show(as_json: bool, content: Any, *tables: Any) -> None:
    """Prints the content as JSON, or else the tables and sentences that tell it, the empty ones left out."""
    if as_json:
        return print_json(content)
    from rich.console import Console

    from hp_bench.report.tables import wrapped

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for one in tables:
        if one:
            console.print(wrapped(one) if isinstance(one, str) else one)


def warn(*sentences: str) -> None:
    """Sentences on stderr, each once, the empty ones left out."""
    for sentence in dict.fromkeys(sentences):
        if sentence:
            typer.echo(sentence, err=True)


def finish(failures: Sequence[str]) -> None:
    """Says what failed, one sentence each, and leaves with 1 if anything did."""
    warn(*(f"hp-bench: {sentence}" for sentence in failures))
    if failures:
        raise typer.Exit(1)
