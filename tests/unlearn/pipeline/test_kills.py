"""kill -9 at random moments, the same command again: the same bytes in the end."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import tiny
import yaml

KILLS = 50


def write_recipe(root: Path, name: str) -> Path:
    section = {"batch_size": 4, "accumulation": 1, "learning_rate": 1e-3}
    content = {
        "model": str(root / "base"), "corpus": str(root / "target.txt"), "anchors": str(root / "anchors.jsonl"), "out": str(root / name),
        "device": "cpu", "labels": {"block_tokens": 32, "batch_blocks": 2, "soft": True, "top_k": 4},
        "reinforce": {**section, "epochs": 1, "save_every": 5}, "finetune": {**section, "epochs": 2, "save_every": 10},
    }  # fmt: skip
    path = root / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.slow
def test_fifty_kills_leave_no_trace(tmp_path):
    tiny.save(tmp_path / "base")
    (tmp_path / "target.txt").write_text("\n".join(tiny.TEXT * 6))
    rows = [
        {"anchor": "Nora", "translations": ["Ann", "Eve"]},
        {"anchor": "Port Ansel", "translations": ["the harbour"]},
    ]
    (tmp_path / "anchors.jsonl").write_text("\n".join(map(json.dumps, rows)))

    zygote = subprocess.Popen(
        [sys.executable, str(Path(__file__).parents[2] / "zygote.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    )  # fmt: skip

    def run(recipe: Path, limit: float) -> tuple[int, float, str]:
        zygote.stdin.write(f"{recipe}\t{limit}\n")
        zygote.stdin.flush()
        status, seconds, interrupted = zygote.stdout.readline().rstrip("\n").split("\t")
        return int(status), float(seconds), interrupted

    try:
        status, whole, _ = run(write_recipe(tmp_path, "undisturbed"), 600)
        assert status == 0
        expected = tiny.content(tmp_path / "undisturbed")
        rng = random.Random(0)
        killed: Counter[str] = Counter()
        number = 0
        while sum(killed.values()) < KILLS:
            recipe = write_recipe(tmp_path, f"disturbed-{number}")
            for attempt in range(11):  # at most ten kills a run, then it is left alone
                status, _, interrupted = run(recipe, rng.uniform(0, 0.8 * whole) if attempt < 10 else 600)
                if not interrupted:
                    break
                killed[interrupted] += 1
            assert status == 0, "a run that was not killed failed"
            found = tiny.content(tmp_path / f"disturbed-{number}")
            assert set(found) == set(expected)
            different = [name for name in expected if found[name] != expected[name]]
            assert not different, f"run {number}: {different} differ after kills in {dict(killed)}"
            number += 1
    finally:
        zygote.kill()
        zygote.wait()
    print(dict(killed), number, "runs")
    assert {"reinforced.tmp", "labels.tmp", "finetune.tmp"} <= set(killed), f"the kills hit only {dict(killed)}"
