"""`hp-bench score`."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from hp_bench.commands.options import Json, Run, finish, show, warn

#: What --quick is for: the tasks that are asked 60 prompts then, and those that are short in any case.
QUICK_TASKS = ("hp_familiarity", "hp_familiarity_chat", "hp_token_probability")


def score(
    models: list[str],
    *,
    run: Annotated[Run, "hp_familiarity,hp_token_probability"],
    baseline: str = "",
    out: Path = Path("scores"),
    card: bool = False,
    quick: bool = False,
    as_json: Json = False,
) -> None:
    """Measures what models know of the unlearn target.

    Writes a scorecard for each model. With --baseline, every other model is compared with the baseline, prompt by prompt. If one model
    fails, the others are still scored.

    Args:
        models: Models to score. Each is a folder, a hub id, a hub id@revision, an unmerged PEFT adapter, a quantised model, or the address
            of a server such as http://localhost:8000/v1.
        baseline: Model before unlearning. The other models are compared with it.
        out: Folder for scorecards and samples. What it already holds is not scored again.
        card: Also write OUT/cards/NAME.md, a page to publish beside the weights, with the numbers as the hub's model-index.
        quick: A first look: 60 of the 300 prompts. The scorecards are called NAME-quick.
    """
    from hp_bench.engines.loader import Loader
    from hp_bench.report.strip import print_strips, strips_of
    from hp_bench.report.tables import answer, model_tables
    from hp_bench.results.compare import broken, compare, doubts
    from hp_bench.results.model_card import model_card
    from hp_bench.results.scorecard import failures, to_json
    from hp_bench.scoring.checkpoints import named_models
    from hp_bench.scoring.models import score_checkpoints
    from hp_bench.scoring.store import require_same_model
    from unlearn.files import write_text

    points = named_models(models, baseline)
    if quick:
        if other := [task for task in run.tasks if task not in QUICK_TASKS]:
            raise ValueError(f"--quick is for {', '.join(QUICK_TASKS)}, not for {other[0]!r}")
        if card:
            raise ValueError("--card is for a full score, to be published: leave out --quick")
        run.metadata["quick"] = True
        points = [replace(point, name=f"{point.name}-quick") for point in points]
    with Loader(run.settings, [point.path for point in points], one_kind=False) as loader:
        for point in points:
            require_same_model(point, out, loader)
        cards = [scored.card for scored in score_checkpoints(loader, run.load_tasks(), points, out=out)]
    told = [one for one in cards if one.scored]  # of the others there is nothing to tell but why
    for one in told if card else ():
        write_text(out / "cards" / f"{one.name}.md", model_card(one))
    differences = compare(cards[0], cards[1:]) if baseline else []
    strips = strips_of([(one.name, one) for one in cards])
    runs = {strip.name: strip.longest_run() for strip in strips}
    content = {"scorecards": to_json(*cards), "differences": [asdict(one) for one in differences], "longest_runs": runs}
    reference = cards[0] if baseline else None
    answers = [answer(card, reference, differences) for card in told if card is not reference]
    tables = [*model_tables(told, differences, cards[0].name), print_strips(strips)]
    show(as_json, content, *answers, *(["\n", *tables] if told else ()))
    if quick:
        asked = (task.prompts_changed for card in cards for task in card.manifest.tasks.values())
        warn(*(f"{said}. A first look: not compared with other scores." for said in asked if said))
    warn(*doubts(cards), *(broken(card, reference) for card in cards))
    warn(f"scorecards and samples are in {out}" * bool(told))
    finish(failures(cards))
