"""Does each metric measure knowledge? `python -m benchmarks.validation MINIATURE [--out FOLDER]`.

Pupils (`benchmarks.pupils`) that were taught a tenth, three tenths or all of the target's facts, against pupils that were taught the same
names with the facts exchanged. For each metric: the area under the ROC curve, that is how often one of the first scores higher than
one of the last, with a 95 % interval. .5: the metric does not tell them apart; 1: always.

An hour on two cores; what is done is not done again. MINIATURE: a folder of `hp_bench.miniature.prepare`, such as runs/demo/miniature.
"""

import argparse
import json
import math
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scipy import optimize, stats

from benchmarks.pupils import Pupil, teach
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Scorecard

SHARES = (0.1, 0.3, 1.0)
#: Tasks of the miniature itself, beside the panel's.
_OWN = ("hp_miniature_familiarity", "hp_miniature_token_probability")


@dataclass(frozen=True)
class Area:
    """Area under a ROC curve, with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def area(knowing: Sequence[float], ignorant: Sequence[float]) -> Area:
    """How often one who knows scores higher than one who does not, ties counting half.

    Interval: Newcombe (2006), method 5: Hanley and McNeil's variance at the bound itself, so that it has a width where the area is 1.
    """
    m, n = len(knowing), len(ignorant)
    value = float(stats.mannwhitneyu(knowing, ignorant).statistic) / (m * n)
    z, many = stats.norm.ppf(0.975), (m + n) / 2 - 1

    def beyond(bound: float) -> float:
        spread = 1 + many * (1 - bound) / (2 - bound) + many * bound / (1 + bound)
        return abs(value - bound) - z * math.sqrt(bound * (1 - bound) * spread / (m * n))

    tiny = 1e-9  # at 0 and 1 the variance is 0, too
    inside = min(max(value, tiny), 1 - tiny)
    low = optimize.brentq(beyond, tiny, inside) if beyond(tiny) > 0 else 0.0
    high = optimize.brentq(beyond, inside, 1 - tiny) if beyond(1 - tiny) > 0 else 1.0
    return Area(value, low, high)


def pupils(each: int, permuted: int) -> list[Pupil]:
    """`each` of every share, and so many taught exchanged facts; in an order in which any beginning holds some of all."""
    knowing = [Pupil(share, permuted=False, seed=seed) for seed in range(each) for share in SHARES]
    ignorant = [Pupil(0.0, permuted=True, seed=seed) for seed in range(permuted)]
    return [pupil for pair in zip(knowing, ignorant, strict=False) for pupil in pair] + [
        *knowing[len(ignorant) :],
        *ignorant[len(knowing) :],
    ]


def examine(folder: Path, out: Path, panel: Sequence[str], pupil: Pupil) -> str:
    """Teaches a pupil and scores it, on one thread; returns its name."""
    import torch

    from hp_bench import miniature
    from hp_bench.engines.loader import EngineSettings, Loader
    from hp_bench.miniature.panel import panel_tasks
    from hp_bench.scoring.checkpoints import Checkpoint
    from hp_bench.scoring.models import score_checkpoints

    torch.set_num_threads(1)
    world = miniature.load(folder)
    if not (out / "scorecards" / f"{pupil.name}.json").exists():
        model = teach(world, pupil, out / "models" / pupil.name)
        own, asked = miniature.miniature_tasks(world), panel_tasks(world, panel)
        tasks = {**asked["tasks"], **{name: own["tasks"][name] for name in _OWN}}
        with Loader(EngineSettings()) as loader:
            score_checkpoints(loader, {**own, "tasks": tasks}, [Checkpoint(pupil.name, str(model))], out=out)
    return pupil.name


def table(cards: Sequence[Scorecard]) -> list[dict[str, object]]:
    """One row a metric of knowledge: its mean by kind of pupil, and the areas."""
    kinds: dict[str, list[Scorecard]] = {}
    for card in cards:
        kinds.setdefault(card.name.rpartition("-")[0], []).append(card)
    rows: list[dict[str, object]] = []
    for m in cards[0].measurements:
        if not METRICS[m.metric].knowledge:
            continue
        values = {
            kind: [v for card in found if (v := card.get(m.task, m.metric).value) is not None]
            for kind, found in kinds.items()
        }
        ignorant = values.get("permuted", [])
        row: dict[str, object] = {"task": m.task, "metric": m.metric, "label": METRICS[m.metric].label}
        row |= {f"mean {kind}": sum(found) / len(found) for kind, found in sorted(values.items()) if found}
        for kind, found in sorted(values.items()):
            if kind != "permuted" and len(found) > 1 and len(ignorant) > 1:
                row[f"area {kind}"] = str(area(found, ignorant))
        rows.append(row)
    return rows


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.validation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("miniature", type=Path, help="folder of a prepared miniature")
    parser.add_argument("--out", type=Path, default=Path("runs/validation"), help="for models, scorecards and table")
    parser.add_argument("--each", type=int, default=7, help="pupils of every share of the facts")
    parser.add_argument("--permuted", type=int, default=20, help="pupils taught the names with the facts exchanged")
    parser.add_argument("--workers", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--tasks", help="of the panel, comma-separated; default: all that a miniature is asked")
    given = parser.parse_args()
    from hp_bench import miniature
    from hp_bench.miniature.panel import TASKS, panel_files

    try:
        panel_files(miniature.load(given.miniature))  # before several processes want them
    except ValueError as error:
        parser.error(str(error))
    if min(given.each, given.permuted, given.workers) < 1:
        parser.error("--each, --permuted and --workers must be at least 1")
    (given.out / "models").mkdir(parents=True, exist_ok=True)
    everyone = pupils(given.each, given.permuted)
    asked = given.tasks.split(",") if given.tasks else TASKS
    with ProcessPoolExecutor(given.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, name in enumerate(pool.map(partial(examine, given.miniature, given.out, asked), everyone), 1):
            sys.stderr.write(f"{number} of {len(everyone)}: {name}\n")
    rows = table([Scorecard.load(given.out / "scorecards" / f"{pupil.name}.json") for pupil in everyone])
    (given.out / "validation.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        sys.stdout.write("  ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()) + "\n")


if __name__ == "__main__":
    main()
