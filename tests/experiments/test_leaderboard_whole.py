"""The leaderboard from end to end in a world of a few steps: three rows, killed, and again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from hp_bench.experiments import findings as findings_module
from hp_bench.experiments import leaderboard
from hp_bench.experiments import measure as leaderboard_measure
from hp_bench.experiments.findings import ABOVE, NOT_NAMES, PANEL, STRESS
from hp_bench.experiments.rows import Rows
from hp_bench.miniature import Settings
from hp_bench.miniature.panel import panel_tasks
from unlearn.files import recipes_dir

pytestmark = pytest.mark.slow

SMALL = Settings(
    worlds=60, famous=8, target_stories=60, held_out=20, width=64, layers=2, inner=64, steps=60, rest_rows=4, warmup=5
)

#: The command in a world this small: only the Python function takes settings.
PROGRAM = """
from hp_bench.experiments import leaderboard
from hp_bench.cli import main
from hp_bench.miniature import Settings
from functools import partial

SMALL = Settings(worlds=60, famous=8, target_stories=60, held_out=20, width=64, layers=2, inner=64, steps=60, rest_rows=4, warmup=5)
if __name__ == "__main__":
    leaderboard.run_leaderboard = partial(leaderboard.run_leaderboard, settings=SMALL)
    main()
"""
FILES = ("leaderboard.json", "leaderboard.md", "plane.png", "plane.svg")


def rows():
    """One trained row, one arithmetic one, one live, and one that asks for a checkpoint that its run does not have."""
    found = yaml.safe_load((recipes_dir() / "leaderboard.yaml").read_text(encoding="utf-8"))["rows"]
    quick = {"finetune.max_steps": 4, "finetune.save_every": 2, "labels.batch_blocks": 8}
    made = {name: found[name] for name in ("whp", "task_vector", "ensemble")}
    made["whp"]["keys"] |= quick
    made["whp"]["chosen"]["step"] = 2
    for row in made.values():
        row["tried"] = [{key: value for key, value in row["chosen"].items() if key != "step"}]
    made["wrong"] = {**made["ensemble"], "chosen": {**made["ensemble"]["chosen"], "step": 7}}
    return made


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    (folder / "rows.yaml").write_text(yaml.safe_dump({"budget": 1, "rows": rows()}), encoding="utf-8")
    return folder


def start(place, *arguments):
    command = [
        sys.executable,
        "program.py",
        "leaderboard",
        "--out",
        "out",
        "--file",
        "rows.yaml",
        "--seeds",
        "1",
        *arguments,
    ]
    return subprocess.Popen(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def ended(process):
    out, err = process.communicate(timeout=1200)
    return process.returncode, out, err


def test_killed_and_started_again_it_ends_and_a_second_time_nothing_is_made_anew(place):
    process, row = start(place), Path(place, "out/seed-1/rows/baseline.json")
    until = time.monotonic() + 600
    while not row.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    ended(process)
    assert row.exists() and not (place / "out/leaderboard.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in [row, *(place / "out").rglob("*/twin-*/*.safetensors")]}

    code, out, err = ended(start(place))
    assert code == 1, err  # a row failed
    assert "row wrong failed: seed 1: the run has no checkpoint-7; it has 1" in err and "Traceback" not in err
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    made = json.loads((place / "out/leaderboard.json").read_text(encoding="utf-8"))
    by_name = {one["name"]: one for one in made["rows"]}
    assert set(by_name) == {"whp", "task_vector", "ensemble", "wrong", "baseline", "twin-1", "twin-2"}
    for name, one in by_name.items():
        assert bool(one["numbers"]) != bool(one["failure"]), name
    assert by_name["whp"]["steps"] == 2 and by_name["ensemble"]["steps"] is None
    assert by_name["baseline"]["numbers"]["utility_drop"]["mean"] == 0
    assert abs(sum(by_name[f"twin-{n}"]["numbers"]["kl_rest"]["mean"] for n in (1, 2))) < 1e-6
    assert out.startswith("Nearest on") and all(name in out for name in by_name)
    assert [line for line in out.splitlines() if len(line) > 80] == []

    before = {name: (place / "out" / name).read_bytes() for name in FILES}
    weights = {path: path.stat().st_mtime_ns for path in (place / "out").rglob("*.safetensors")}
    code, out, err = ended(start(place, "--rows", "whp", "--rows", "task_vector", "--rows", "ensemble"))
    assert code == 0, err
    assert weights == {path: path.stat().st_mtime_ns for path in weights}
    assert ended(start(place))[0] == 1
    assert before == {name: (place / "out" / name).read_bytes() for name in FILES}


def test_panel_and_stress_are_measured_of_the_kept_checkpoints_and_only_once(place, monkeypatch):
    """In this process, and of one task of the panel: the others take minutes."""
    one = ("hp_qa",)
    monkeypatch.setattr(leaderboard_measure, "panel_tasks", lambda world: panel_tasks(world, one))
    monkeypatch.setattr(findings_module, "TASKS", one)
    called = []

    def in_turn(calls, **_):
        called.extend(calls)
        return {name: call(*arguments) for name, (call, arguments) in calls.items()}

    monkeypatch.setattr(leaderboard, "side_by_side", in_turn)
    made = {
        "rows": Rows.load(place / "rows.yaml"), "names": ("task_vector", "ensemble"), "seeds": (1,), "settings": SMALL,
        "further": (PANEL, STRESS),
    }  # fmt: skip
    board = leaderboard.run_leaderboard(place / "out", **made)
    assert not board.failed, [one.failure for one in board.findings]
    assert {(one.kind, one.name) for one in board.findings} == {
        ("panel", "task_vector"), ("panel", "ensemble"), ("stress", "task_vector"), ("stress", "twin-2"),
    }  # fmt: skip
    for found in board.findings:
        assert set(found.found) == ({ABOVE, NOT_NAMES} if found.kind == "panel" else {"8-bit", "4-bit"})
        assert all(len(numbers) <= found.asked for numbers in found.found.values())
    page = (place / "out/leaderboard.md").read_text(encoding="utf-8")
    assert "came back, 4-bit" in page and "| `twin-2` | - | - |" in page
    controls = {path: path.stat().st_mtime_ns for path in (place / "out/seed-1/stress").rglob("control*.json")}
    assert len(controls) == 2 * 5

    called.clear()
    assert leaderboard.run_leaderboard(place / "out", **made).findings == board.findings and not called
    assert (place / "out/leaderboard.md").read_text(encoding="utf-8") == page
