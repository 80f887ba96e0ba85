"""`hp-bench doctor`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from hp_bench.commands.options import Json, Run, finish, show

if TYPE_CHECKING:
    from hp_bench.scoring.doctor import Fitness, Machine


def doctor(
    model: str = "", *, run: Annotated[Run, "hp_familiarity,hp_token_probability"], as_json: Json = False
) -> None:
    """Says whether and how fast this machine can score a model.

    Looks at versions, engines and memory, and at the model's tokenizer, context and settings; asks it a few prompts to estimate the time.
    If a score would be refused, it gives the reason and exit code 1.

    Args:
        model: Model to look at, given as for `score`. Default: the machine alone.
    """
    from rich.table import Table
    from rich.text import Text

    from hp_bench.scoring.doctor import fitness, machine
    from unlearn.files import find_model

    here = machine()
    rows, fit, refused = _machine(here), None, ""
    if model:
        if run.settings.engine_of(model) != "endpoint":
            model = find_model(model)
        fit = fitness(model, run.settings, run.load_tasks(), here.free_gib)
        rows += _model(fit, run.tasks)
        refused = fit.refused
    table = Table.grid("", "", padding=(0, 2))
    for label, text in rows:
        table.add_row(label, Text(text))
    show(as_json, {"machine": asdict(here), "model": asdict(fit) if fit else None}, table)
    finish([f"a score of {model!r} would be refused: {refused}"] if refused else [])


def _machine(here: "Machine") -> list[tuple[str, str]]:
    other = [
        f"{name} {has}, tested {tested}" for name, (has, tested) in here.versions.items() if tested and has != tested
    ]
    untested = [f"{name} {has}, not tested" for name, (has, tested) in here.versions.items() if not tested]
    engines = [f"{name}: {f'missing, {how}' if how else 'works'}" for name, how in here.engines.items()]
    return [
        ("versions", "\n".join([*other, *untested]) or "as tested"),
        ("engines", "\n".join(engines)),
        ("cores", f"{here.cores}" + f", busy: {here.load:.1f} processes want them" * (here.load > here.cores)),
        ("memory", f"{here.memory_gib} GiB, free {here.free_gib} GiB{' of the GPU' if here.gpus else ''}"),
        ("GPU", ", ".join(here.gpus) or "none"),
    ]


def _model(fit: "Fitness", tasks: list[str]) -> list[tuple[str, str]]:
    rows = [("model", fit.model)]
    if fit.context:
        size = f"{fit.parameters / 1e6:.1f} million, " if fit.parameters else ""
        rows += [("parameters", f"{size}{fit.dtype}")] if fit.dtype else []
        rows += [("context", f"{fit.context} tokens"), ("chat template", "yes" if fit.chat_template else "none")]
    rows += [("to know", sentence) for sentence in fit.findings]
    if not fit.refused:
        seconds = fit.seconds or 0
        long = f"about {seconds:.0f} seconds" if seconds < 120 else f"about {seconds / 60:.0f} minutes"
        long += " or less" * fit.at_most
        asked = f"{fit.completions} completions to write, {fit.requests - fit.completions} probabilities to compute"
        rows.append(("a score", f"{long} ({', '.join(tasks)}: {asked})"))
    return rows
