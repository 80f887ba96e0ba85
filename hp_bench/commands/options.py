"""Options that several commands share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hp_bench.engines.loader import EngineSettings

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]

Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]

Seed = Annotated[int, typer.Option(help="Of everything that is drawn.", min=0)]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Tasks = Annotated[
    str, typer.Option("--tasks", help="lm-eval tasks, tags or groups, with commas between; hp_utility is the paper's general ability.")
]  # fmt: skip

EngineName = Annotated[str, typer.Option("--engine", help="hf, vllm or endpoint; an address is an endpoint by itself.")]

BatchSize = Annotated[int, typer.Option("--batch-size", help="Prompts at a time; 0: the engine's own choice.")]

Tokenizer = Annotated[str, typer.Option("--tokenizer", help="Folder or hub id, where a model has none beside it.")]

Base = Annotated[str, typer.Option("--base", help="The model under an adapter, if not the one that the adapter names.")]

Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", help="key=value for the tasks, repeatable: prompts=FILE, lexicon=FILE, judge=...")
]  # fmt: skip

EngineArguments = Annotated[
    list[str] | None, typer.Option("--engine-arg", help="key=value for the engine: tensor_parallel_size=8, num_concurrent=16.")
]  # fmt: skip


def engine_settings(
    engine: str, device: str, dtype: str, batch_size: int, tokenizer: str, base: str, arguments: Sequence[str] | None
) -> "EngineSettings":
    """The options as one value; an unknown engine is an error before anything is loaded."""
    from hp_bench.engines import ENGINES
    from hp_bench.engines.loader import EngineSettings

    if engine not in ENGINES and ":" not in engine:
        raise ValueError(f"engine {engine!r} is unknown; allowed: {', '.join(ENGINES)}")
    if batch_size < 0:
        raise ValueError(f"batch size must be 1 or more, or 0 for the engine's own choice, not {batch_size}")
    return EngineSettings(
        engine=engine, device=device, dtype=dtype, batch_size=batch_size or None, tokenizer=tokenizer or None, base=base or None,
        arguments=pairs(arguments, "--engine-arg"),
    )  # fmt: skip


def task_names(text: str) -> list[str]:
    """`a,b` as a list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def pairs(words: Sequence[str] | None, option: str) -> dict[str, Any]:
    """`key=value` words as a dict; numbers, true and false are read as such."""
    import yaml

    found: dict[str, Any] = {}
    for word in words or ():
        key, separator, value = word.partition("=")
        if not separator or not key:
            raise ValueError(f"{option} {word!r} is not key=value")
        read = yaml.safe_load(value)
        found[key] = read if isinstance(read, int | float | bool) else value
    return found
