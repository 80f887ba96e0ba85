"""`python -m benchmarks [ROW ...] [--out FOLDER]`: runs rows, prints a table, writes FOLDER/<row>.json. `gpu` is for a machine with one."""

import argparse
import json
import platform
import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROWS = (
    "import_time",
    "score",
    "real_score",
    "curve",
    "curve_vllm",
    "checkpoint_growth",
    "label_growth",
    "labels",
    "label_memory",
    "finetune",
    "translate_align",
    "anchor_growth",
    "rank_growth",
)


def main() -> None:
    """Runs the rows that the command line names."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}, gpu; default: all but gpu")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder for the JSON files")
    parser.add_argument("--tiny", action="store_true", help="gpu: a tiny model on the CPU, to show that it runs")
    arguments = parser.parse_args()
    unknown = [row for row in arguments.rows if row not in (*ROWS, "gpu")]
    if unknown:
        sys.stderr.write(f"benchmarks: unknown row {unknown[0]!r}; available: {', '.join(ROWS)}, gpu\n")
        raise SystemExit(2)
    arguments.out.mkdir(parents=True, exist_ok=True)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    for row in arguments.rows or ROWS:
        module = import_module(f"benchmarks.{row}")
        try:
            results = module.run(tiny=True) if arguments.tiny and row == "gpu" else module.run()
        except ValueError as error:
            sys.stderr.write(f"benchmarks: {error}\n")
            raise SystemExit(2) from None
        machine = {"python": platform.python_version(), "machine": platform.machine()}
        (arguments.out / f"{row}.json").write_text(
            json.dumps({"row": row, **machine, "results": results}, indent=1) + "\n"
        )
        table = Table(title=(module.__doc__ or row).splitlines()[0], title_justify="left")
        for column in results[0]:
            table.add_column(column, justify="right")
        for result in results:
            table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in result.values()))
        console.print(table)


if __name__ == "__main__":
    main()
