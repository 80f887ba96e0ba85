"""`python -m benchmarks [ROW ...] [--out FOLDER]`: runs rows, prints a table, writes FOLDER/<row>.json. `gpu` is for a machine with one."""

import argparse
import json
import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.score import CHAT
from benchmarks.timed import QUICK

#: Row -> its module, and how it is run.
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "import_time": ("import_time", {}),
    "score": ("score", {}),
    "curve": ("curve", {}),
    "curve_vllm": ("curve", {"engine": "vllm", "goal": "1/4"}),
    "checkpoint_growth": ("growth", {}),
    "label_growth": ("label_growth", {}),
    "labels": ("labels", {}),
    "label_memory": ("label_memory", {}),
    "finetune": ("finetune", {}),
    "translate_align": ("translate_align", {}),
    "anchor_growth": ("anchor_growth", {}),
    "rank_growth": ("rank_growth", {}),
    "real_quick": ("quick", {}),
    "real_score": ("score", {"real": True, "goal": ".45"}),
    "real_chat": ("score", {"real": True, "tasks": CHAT, "goal": ".45"}),
    "real_score_vllm": ("score", {"real": True, "engine": "vllm", "goal": ".8"}),
    "real_curve": ("curve", {"real": True, "goal": ".35"}),
    "real_curve_vllm": ("curve", {"real": True, "engine": "vllm", "goal": ".30"}),
    "real_labels": ("labels", {"real": True}),
    "real_finetune": ("finetune", {"real": True}),
    "real_prompt_growth": ("growth", {"of": "prompts", "counts": (30, 90, 300), "real": True}),
    "real_token_growth": ("growth", {"of": "tokens", "counts": (20, 80, 320), "real": True}),
    "real_checkpoint_growth": ("growth", {"counts": (1, 7, 20), "real": True}),
    "real_label_growth": ("label_growth", {"real": True}),
    "gpu": ("gpu", {}),
}


def main() -> None:
    """Runs the rows that the command line names."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default: all but gpu")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder for the JSON files")
    parser.add_argument("--tiny", action="store_true", help="gpu: a tiny model on the CPU, to show that it runs")
    arguments = parser.parse_args()
    unknown = [row for row in arguments.rows if row not in ROWS]
    if unknown:
        sys.stderr.write(f"benchmarks: unknown row {unknown[0]!r}; available: {', '.join(ROWS)}\n")
        raise SystemExit(2)
    arguments.out.mkdir(parents=True, exist_ok=True)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    for row in arguments.rows or [row for row in ROWS if row != "gpu"]:
        name, options = ROWS[row]
        module = import_module(f"benchmarks.{name}")
        try:
            results = module.run(**options, **({"tiny": True} if arguments.tiny and row == "gpu" else {}))
        except ValueError as error:
            sys.stderr.write(f"benchmarks: {error}\n")
            raise SystemExit(2) from None
        machine = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "quick": QUICK,
        }
        (arguments.out / f"{row}.json").write_text(
            json.dumps({"row": row, **machine, "results": results}, indent=1) + "\n"
        )
        table = Table(title=f"{row}: {(module.__doc__ or '').splitlines()[0]}", title_justify="left")
        for column in results[0]:
            table.add_column(column, justify="right")
        for result in results:
            table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in result.values()))
        console.print(table)


if __name__ == "__main__":
    main()
