"""Do `stress --relearn-facts` and `inspect` see facts, or names? `python -m benchmarks.hidden MINIATURE [--out FOLDER]`.

Pupils (`benchmarks.pupils`) that know all facts, or the same names with the facts exchanged, read on in stories that name nothing, until
they say neither. So the first hide facts and the last hide names. Both are taught half of the facts again and asked the other half, and
both are inspected, beside pupils that hide nothing. Printed: each number before and after, its rise beyond the twin with its 95 %
interval; and what the states give back, with interval and facts.
"""

import argparse
import json
import random
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.pupils import LESSONS, Pupil, teach
from hp_bench import miniature
from hp_bench.miniature.names import Person
from hp_bench.miniature.panel import panel_files
from hp_bench.miniature.world import TARGETS
from hp_bench.probes.panel_rows import gives_away, load_facts
from hp_bench.stress.facts import FactRelearning
from hp_bench.stress.patching import inspect_models
from hp_bench.stress.run import stress_test
from unlearn.files import write_json, write_lines

#: How a pupil is made to say nothing: half as many steps as it was taught in, on stories of the target that name nothing.
_SILENCED = replace(LESSONS, steps=40)

#: Half of twenty facts: ten clozes, a step each twice over.
_AGAIN = FactRelearning(steps=10, learning_rate=5e-4, batch=4, block=64)

_NOTHING = Pupil(0.0, permuted=False, seed=0)


def ask(world: miniature.Miniature, out: Path) -> tuple[Path, Path]:
    """All clozes of the panel, and one of each fact. The distractors are the target's, people for people: so names alone answer nothing."""
    rng, facts = random.Random(0), TARGETS[world.plan.target].facts.values()
    people = {str(fact): isinstance(fact, Person) for fact in facts}
    rows = []
    for fact in load_facts(panel_files(world) / "qa.jsonl"):
        others = [one for one in people if people[one] is people[fact.answer] and not gives_away(one, fact.answer)]
        rows.append({**asdict(fact), "distractors": rng.sample(others, 3)})
    once = [row for row in rows if row["id"].startswith("seen-") and row["id"].endswith("-0")]
    for name, part in (("all", rows), ("once", once)):
        write_lines(out / "prompts" / f"{name}.jsonl", part)
    return out / "prompts" / "all.jsonl", out / "prompts" / "once.jsonl"


def main() -> None:
    """Makes the pupils that are missing, and prints a line each."""
    parser = argparse.ArgumentParser(prog="benchmarks.hidden", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("miniature", type=Path, help="folder of a prepared miniature")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/validation"), help="of benchmarks.validation, whose pupils are taken"
    )
    parser.add_argument("--each", type=int, default=1, help="pupils of each kind that hide something")
    given = parser.parse_args()
    torch.set_num_threads(1)
    out, world = given.out, miniature.load(given.miniature)
    world = replace(
        world, twins=world.twins[:1]
    )  # all from the same weights: else states cannot be put into each other
    (out / "models").mkdir(parents=True, exist_ok=True)
    clozes, once = ask(world, out)

    def taught(pupil: Pupil) -> str:
        return str(teach(world, pupil, out / "models" / pupil.name))

    rows: dict[str, dict[str, Any]] = {}
    silent: dict[str, str] = {}
    for seed in range(given.each):
        for pupil in (Pupil(1.0, permuted=False, seed=seed), Pupil(0.0, permuted=True, seed=seed)):
            own = replace(world, twins=(Path(taught(pupil)),))
            name = f"silent-{pupil.name}"
            silent[name] = str(teach(own, replace(_NOTHING, seed=seed), out / "models" / name, lessons=_SILENCED))
    for name, path in silent.items():
        result = stress_test(
            path, control=world.twins[0], bits=(), facts=_AGAIN, splits=2, tasks=("hp_extraction",), metadata={"prompts": str(once)},
            out=out / "relearned",
        )  # fmt: skip
        rows[name] = {
            one.metric: [one.plain, one.stressed, one.told.value, one.told.low, one.told.high]
            for one in result.recoveries
            if one.stress == _AGAIN.name
        }
        sys.stderr.write(f"{name}: {rows[name]}\n")
    kinds = [Pupil(share, share == 0, seed) for seed in range(given.each) for share in (0.0, 0.1, 0.3)]
    inspected = [*silent.values(), *(taught(pupil) for pupil in kinds)]
    asked: Any = {"metadata": {"prompts": str(clozes)}, "facts": 0}
    for one in inspect_models(inspected, baseline=taught(Pupil(1.0, False, 0)), twin=taught(_NOTHING), **asked):
        share = one.recovered
        rows.setdefault(one.name, {})["states"] = [share.value, share.low, share.high, share.n]
    write_json(out / "hidden.json", rows, sort_keys=False)
    for name, row in rows.items():
        sys.stdout.write(f"{name}: {json.dumps(row)}\n")


if __name__ == "__main__":
    main()
