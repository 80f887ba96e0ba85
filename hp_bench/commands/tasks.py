"""`hp-bench tasks`."""

from pathlib import Path
from typing import Any

import typer

from hp_bench.commands.options import Json, show


def tasks(*, path: bool = False, as_json: Json = False) -> None:
    """Lists the tasks, their numbers, ranges and directions.

    Args:
        path: Print the folder that `lm_eval --include_path` takes.
    """
    if path:
        from hp_bench.probes.paths import tasks_dir

        typer.echo(str(tasks_dir()))
        return
    from hp_bench.report.tables import table

    lines = _lines()
    groups: dict[str, list[tuple[str, ...]]] = {}
    for task, metric, low, high, better, prompts in map(dict.values, lines):
        heading = task + f": {prompts} prompts" * bool(prompts)
        groups.setdefault(heading, []).append((metric, f"{low:g} to {high:g}", better))
    show(as_json, lines, table(("number", "range", "better"), groups))


def _lines() -> list[dict[str, Any]]:
    """The numbers that tasks give, a line each."""
    from hp_bench.probes.paths import tasks_dir
    from hp_bench.results.metrics import METRICS, known
    from hp_bench.scoring.score import load_tasks

    files = {path.stem: path for path in sorted(tasks_dir().glob("*.yaml")) if path.stem != "hp_utility"}
    metrics = {name: _metrics_without_files(path) for name, path in files.items()}
    loaded = load_tasks([name for name in files if not metrics[name]])["tasks"]
    lines = []
    for name in files:
        task = loaded.get(name)
        for metric in known(dict.fromkeys(metrics[name] or task.aggregation())):
            lines.append((name, metric, len(task.eval_docs) if task else 0))
    return [
        {"task": task, "metric": metric, "low": how.low, "high": how.high, "better": how.better, "prompts": prompts}
        for task, metric, prompts in [*lines, ("hp_utility", "acc", 0)]
        if (how := METRICS[metric])
    ]


def _metrics_without_files(path: Path) -> list[str]:
    """The metrics of a task that cannot be built without the user's own files; none of any other task."""
    from lm_eval.tasks._yaml_loader import load_yaml

    content = load_yaml(path, resolve_func=False)
    return content["metrics"] if content.get("tag") == "hp_panel_files" else []
