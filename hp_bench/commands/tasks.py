"""`hp-bench tasks`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from hp_bench.commands.options import Json, print_json


@dataclass(frozen=True)
class Line:
    """A number that a task gives."""

    task: str
    metric: str
    low: float
    high: float
    better: str
    prompts: int


def tasks(
    path: Annotated[bool, typer.Option("--path", help="Print the folder that `lm_eval --include_path` takes.")] = False,
    as_json: Json = False,
) -> None:
    """Which tasks there are, their numbers, ranges and directions."""
    if path:
        from hp_bench.probes.paths import tasks_dir

        typer.echo(str(tasks_dir()))
        return
    lines = _lines()
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "number", "range", "better", "prompts")
    for line in lines:
        table.add_row(line.task, line.metric, f"{line.low:g} to {line.high:g}", line.better, str(line.prompts or ""))
    Console().print(table)


def _lines() -> list[Line]:
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
            how, prompts = METRICS[metric], len(task.eval_docs) if task else 0
            lines.append(Line(name, metric, how.low, how.high, "higher" if how.higher_is_better else "lower", prompts))
    return [*lines, Line("hp_utility", "acc", 0.0, 1.0, "higher", 0)]


def _metrics_without_files(path: Path) -> list[str]:
    """The metrics of a task that cannot be built without the user's own files; none of any other task."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads `!function name` as nothing."""

    Loader.add_multi_constructor("!", lambda *_: None)
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    return [entry["metric"] for entry in content["metric_list"]] if content.get("tag") == "hp_panel_files" else []
