"""`hp-bench inspect`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from hp_bench.commands.options import Json, Run, Seed, scores, show, warn


@scores(tasks="hp_qa")
def inspect(
    models: Annotated[
        list[str],
        Argument(
            help="Models to look into: folders, hub ids or unmerged PEFT adapters. Add a second twin to see the floor."
        ),
    ],
    run: Run,
    baseline: Annotated[str, Option(help="Model before unlearning, into which the states are put.")],
    twin: Annotated[str, Option(help="Model that never read the target.")],
    facts: Annotated[int, Option(help="Facts to ask, drawn at random. 0: all.", min=0)] = 100,
    out: Annotated[Path, Option(help="Folder for inspect.json, inspect.png and inspect.svg.")] = Path("inspect"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Looks for facts in a model's hidden states, layer by layer.

    The baseline answers, with the model's hidden states in place of its own. 0: they hold no more than the twin's. 1: as much as its own.
    Needs the weights of all models, of one architecture.
    """
    from hp_bench.report.figures import save_figures
    from hp_bench.report.layers import draw_layers, print_layers
    from hp_bench.scoring.checkpoints import model_name
    from hp_bench.stress.patching import inspect_models
    from unlearn.files import write_json

    found = inspect_models(
        models, baseline=baseline, twin=twin, tasks=run.tasks, metadata=run.metadata, facts=facts, seed=seed, settings=run.settings
    )  # fmt: skip
    name = model_name(twin)
    content = {"baseline": model_name(baseline), "twin": name, "models": [asdict(one) for one in found]}
    write_json(out / "inspect.json", content, sort_keys=False)
    save_figures({"inspect": draw_layers(found, name)}, out)
    show(as_json, content, *print_layers(found, name))
    if any(one.unreadable for one in found):
        warn(
            f"the baseline cannot read {name}'s states: they cost its answers more than {name}'s own answers differ by. The two were "
            "perhaps not trained from the same weights. So recovered says nothing of knowledge."
        )
    warn(f"inspect.json and the picture are in {out}")
