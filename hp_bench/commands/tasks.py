"""`hp-bench tasks`."""

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from hp_bench.commands.options import Json


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
    import json

    if path:
        from hp_bench.resources import tasks_dir

        typer.echo(str(tasks_dir()))
        return
    lines = _lines()
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("task", "number", "range", "better", "prompts"):
        table.add_column(column)
    for line in lines:
        table.add_row(line.task, line.metric, f"{line.low:g} to {line.high:g}", line.better, str(line.prompts or ""))
    Console().print(table)


def _lines() -> list[Line]:
    from hp_bench.metrics import METRICS, known
    from hp_bench.resources import tasks_dir
    from hp_bench.scoring import load_tasks

    names = [path.stem for path in sorted(tasks_dir().glob("*.yaml"))]
    found = load_tasks([name for name in names if name != "hp_utility"])["tasks"]
    lines = []
    for name, task in found.items():
        for metric in known(dict.fromkeys(task.aggregation())):
            how = METRICS[metric]
            lines.append(
                Line(
                    name, metric, how.low, how.high, "higher" if how.higher_is_better else "lower", len(task.eval_docs)
                )
            )
    if "hp_utility" in names:
        lines.append(Line("hp_utility", "acc", 0.0, 1.0, "higher", 0))
    return lines
