"""`hp-bench curve`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from hp_bench.commands.options import Json, Run, finish, show, warn


def curve(
    models: list[str],
    *,
    run: Annotated[Run, "hp_familiarity,hp_token_probability"],
    baseline: str = "",
    name: list[str] | None = None,
    out: Path | None = None,
    as_json: Json = False,
) -> None:
    """Scores the checkpoints of a training run.

    Writes a scorecard for each checkpoint, draws curve.png and curve.svg, and prints a table for each method.

    Args:
        models: Run directories, one for each method, that hold checkpoint-STEPS folders. Or the checkpoints of one method: models whose
            names end in the number of steps, or STEPS:MODEL.
        baseline: Model that training began from (step 0). Default: the one that the run directory names.
        name: Name of a method. Repeat it for several run directories, in their order.
        out: Folder for scorecards, samples and figures. Default: the run directory, or ./curves if there are several.
    """
    from hp_bench.curves.curve import curves, draw, methods_of
    from hp_bench.report.tables import answer, numbers_table
    from hp_bench.results.compare import broken, compare, doubts
    from hp_bench.results.scorecard import failures, to_json

    methods = methods_of(models, name or [])
    folder = out or (Path("curves") if len(models) > 1 else _run_folder(Path(models[0])))
    tasks = run.load_tasks()
    warn(*(_of_another_text(_run_folder(Path(model)), tasks) for model in models))
    made = curves(methods, tasks, run.settings, baseline=baseline, out=folder)
    drawn = draw(made, folder)
    content, answers, tables, said = [], [], [], list[str]()
    for one in made:
        start = one.points[0] if one.points[0].step == 0 else None
        changes = compare(start, one.points[1:]) if start else []
        told = {"method": one.name, "points": to_json(*one.points), "differences": [asdict(c) for c in changes]}
        content.append(told)
        if scored := [point for point in one.points if point.scored]:  # else there is nothing to tell but why
            answers.append(answer(scored[-1], start, changes))
            tables.append(numbers_table(one.points, changes, title=one.name))
        said += [broken(card, start) for card in one.points[1:]]
    show(as_json, content, *answers, "\n", *tables)
    warn(*map(str, drawn), *doubts([card for one in made for card in one.points]), *said)
    finish(list(dict.fromkeys(sentence for one in made for sentence in failures(one.points))))


def _run_folder(model: Path) -> Path:
    return model.parent if model.resolve().name == "checkpoints" else model


def _of_another_text(run: Path, tasks: Any) -> str:
    """A sentence, if hardly a prompt holds an anchor of the run. (Of our 330, 328 hold one of Harry Potter, 11 one of another novel.)"""
    from hp_bench.stress.answer_leaks import asks_for_target
    from unlearn.anchors.dictionary import AnchorDictionary

    file = run / "anchors.jsonl"
    asked = filter(asks_for_target, tasks["tasks"].values())
    docs = [str(list(doc.values())) for task in asked for doc in task.eval_docs if "prompt" in doc]
    if not docs or not file.is_file():
        return ""
    anchors = AnchorDictionary.load(file)
    held = sum(bool(anchors.find(doc)) for doc in docs)
    if held > len(docs) / 10:
        return ""
    return (
        f"{held} of {len(docs)} prompts hold a name of {str(file)!r}: they ask about another text than {str(run)!r} was to forget; "
        "--metadata prompts=FOLDER names yours, and `hp-bench probes` drafts them"
    )
