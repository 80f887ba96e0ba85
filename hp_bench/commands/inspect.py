"""`hp-bench inspect`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from hp_bench.commands.options import Json, Natural, Run, Seed, show, warn


def inspect(
    models: list[str],
    *,
    run: Annotated[Run, "hp_qa"],
    baseline: str,
    twin: str,
    facts: Natural = 100,
    out: Path = Path("inspect"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Looks for facts in a model's hidden states, layer by layer.

    The baseline answers, with the model's hidden states in place of its own. 0: they hold no more than the twin's. 1: as much as its own.
    Needs the weights of all models, of one architecture.

    Args:
        models: Models to look into: folders, hub ids or unmerged PEFT adapters. Add a second twin to see the floor.
        baseline: Model before unlearning, into which the states are put.
        twin: Model that never read the target.
        facts: Facts to ask, drawn at random. 0: all.
        out: Folder for inspect.json, inspect.png and inspect.svg.
    """
    from hp_bench.report.figures import save_figures
    from hp_bench.report.layers import draw_layers, print_layers
    from hp_bench.scoring.checkpoints import model_name
    from hp_bench.stress.patching import inspect_models
    from unlearn.files import write_json

    found = inspect_models(models, baseline=baseline, twin=twin, facts=facts, seed=seed, **vars(run))
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
