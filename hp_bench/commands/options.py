"""Options and output that several commands share."""

import copy
import functools
import gc
import inspect
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer
from typer import Argument, Option

if TYPE_CHECKING:
    from hp_bench.engines.loader import EngineSettings

Seed = Annotated[int, Option(help="Random seed.", min=0)]

Natural = Annotated[int, Option(min=0)]

Json = Annotated[bool, Option("--json", help="Print the result as JSON.")]

#: Settings of our tasks.
_METADATA = (
    "prompts", "lexicon", "judge", "text", "thinking_tokens", "strict", "quick", "vocabulary", "windows", "stride", "choice_seed",
    "leak_seed", "recall_seed",
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


def declared(command: Callable[..., None]) -> Callable[..., None]:
    """A command as typer takes it: what it takes by position are arguments, all else options; a `bool` is a flag.

    What each of them is for stands in the command's docstring under `Args:`. In place of `run`, a command has the options of every command
    that scores; the tasks by default are those in the annotation of `run`.
    """
    own, shared = _parameters(command), {}
    if "run" in own and Run in get_args(own["run"].annotation):
        shared = _parameters(_run)
        shared["tasks"] = shared["tasks"].replace(default=get_args(own.pop("run").annotation)[1])

    @functools.wraps(command)
    def called(**given: Any) -> None:
        options = {name: given.pop(name) for name in shared}
        command(**given, **({"run": _run(**options)} if shared else {}))

    every = [one.replace(kind=one.KEYWORD_ONLY) for one in (*own.values(), *shared.values())]
    called.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in every}
    called.__doc__ = _told(command)[0]
    return called


def _parameters(command: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """A command's parameters by name, annotated for typer, with what its docstring says of each."""
    helps = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", _told(command)[1], re.MULTILINE))
    parameters = dict(inspect.signature(command).parameters)
    for name, one in parameters.items():
        if name in helps:
            kind, *given = get_args(one.annotation) if get_origin(one.annotation) is Annotated else (one.annotation,)
            make = Argument if one.kind is one.POSITIONAL_OR_KEYWORD else Option
            flag = [f"--{name.replace('_', '-')}"] if kind is bool else []
            about = copy.copy(given[0]) if given else make(*flag)
            about.help = " ".join(helps[name].split())
            parameters[name] = one.replace(annotation=Annotated[kind, about])
    return parameters


def _told(command: Callable[..., Any]) -> tuple[str, str]:
    """A command's docstring, and what it says under `Args:`."""
    text, _, told = inspect.cleandoc(command.__doc__ or "").partition("\n\nArgs:\n")
    return text, told


def _run(
    *,
    tasks: str,
    engine: str = "hf",
    metadata: list[str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int = 0,
    tokenizer: str = "",
    base: str = "",
    engine_arg: list[str] | None = None,
) -> Run:
    """The options as one value; an unknown engine is an error before anything is loaded.

    Args:
        tasks: Tasks, tags or groups of lm-eval, separated by commas. hp_utility measures general ability.
        engine: hf (transformers), vllm or endpoint (a server). An address as model always uses endpoint.
        metadata: Settings of the tasks as key=value, one or more: prompts=FILE, lexicon=FILE, judge=NAME, thinking_tokens=N (tokens for
            what a model thinks before it answers; 2048).
        device: Device: auto, cpu, cuda or mps.
        dtype: Number type of the weights: auto, float32, bfloat16 or float16.
        batch_size: Prompts per batch. 0: the engine chooses.
        tokenizer: Tokenizer (folder or hub id) for models that come without one.
        base: Base model for adapters, instead of the one that the adapter names.
        engine_arg: Settings of the engine as key=value, one or more: tensor_parallel_size=8, num_concurrent=16.
    """
    from hp_bench.engines import ENGINES
    from hp_bench.engines.loader import EngineSettings

    if engine not in ENGINES and ":" not in engine:
        raise ValueError(f"engine {engine!r} is unknown; allowed: {', '.join(ENGINES)}")
    if batch_size < 0:
        raise ValueError(f"batch size must be 1 or more, or 0 for the engine's own choice, not {batch_size}")
    settings = EngineSettings(
        engine=engine, device=device, dtype=dtype, batch_size=batch_size or None, tokenizer=tokenizer or None, base=base or None,
        arguments=pairs(engine_arg, "--engine-arg"),
    )  # fmt: skip
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    if not names:
        raise ValueError(f"--tasks {tasks!r} names no task; `hp-bench tasks` lists ours")
    chosen = pairs(metadata, "--metadata")
    unknown = [key for key in chosen if key not in _METADATA and not key.startswith("judge_")]
    if unknown and all(name.startswith("hp_") for name in names):  # others' tasks have settings of their own
        raise ValueError(
            f"--metadata {unknown[0]!r} is no setting of these tasks; allowed: {', '.join(_METADATA)}, judge_NAME"
        )
    return Run(names, chosen, settings)


def pairs(words: Sequence[str] | None, option: str, form: str = "key=value") -> dict[str, Any]:
    """`key=value` words, several in one with commas between, or a JSON object, as lm_eval takes them; numbers and booleans as such."""
    values: dict[str, Any] = {}
    for word in (part for one in words or () for part in (re.split(r",(?=\w+=)", one) if one[:1] != "{" else [one])):
        if word.startswith("{"):
            try:
                values |= json.loads(word)
            except ValueError as error:
                raise ValueError(f"{option} {word!r} is no JSON object: {error}") from None
            continue
        key, separator, value = word.partition("=")
        if not separator or not key:
            raise ValueError(f"{option} {word!r} is not {form}")
        values[key] = _value(value)
    return values


def _value(text: str) -> Any:
    """A number or a boolean as such, as JSON or YAML writes it; all else as text."""
    import yaml

    for read in (json.loads, yaml.safe_load):
        with suppress(ValueError, yaml.YAMLError):
            if isinstance(value := read(text), int | float):
                return value
    return text


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
