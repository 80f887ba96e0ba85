"""Several processes: labels are the same bytes as one process makes, training averages over ranks, FSDP never pretends."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("ranks")
    tiny.save(root / "base")
    tiny.save(root / "reinforced", seed=3)
    (root / "target.txt").write_text("\n".join(tiny.TEXT * 12))
    rows = [
        {"anchor": "Nora", "translations": ["Ann", "Eve"]},
        {"anchor": "Port Ansel", "translations": ["the harbour"]},
    ]
    (root / "anchors.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


def launch(ranks: int, *words: object) -> subprocess.CompletedProcess:
    """`torchrun -m unlearn ...` on CPUs, as `accelerate launch` does it on GPUs."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        str(ranks),
        "--master_port",
        str(free_port()),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    return subprocess.run(
        [*command, "-m", "unlearn", *map(str, words)], capture_output=True, text=True, env=environment, timeout=600
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ranks_of(folder: Path) -> set[int]:
    return {json.loads(line)["ranks"] for line in (folder / "log.jsonl").read_text().splitlines()}


def label(place: Path, ranks: int, out: Path) -> subprocess.CompletedProcess:
    return launch(
        ranks, "label", "--baseline", place / "base", "--reinforced", place / "reinforced", "--corpus", place / "target.txt",
        "--anchors", place / "anchors.jsonl", "--block-tokens", 32, "--device", "cpu", "--out", out, "batch_blocks=2",
    )  # fmt: skip


def test_two_ranks_make_the_same_labels_as_one(place, tmp_path):
    for ranks in (1, 2):
        done = label(place, ranks, tmp_path / f"{ranks}" / "labels")
        assert done.returncode == 0, done.stderr[-2000:]
        assert ranks_of(tmp_path / f"{ranks}") == {ranks}
    for name in ("data-00000-of-00001.arrow", "report.json", "state.json"):
        one, two = ((tmp_path / f"{ranks}" / "labels" / name).read_bytes() for ranks in (1, 2))
        assert one == two, name
    assert "labels:" in done.stdout and done.stdout.count("labels:") == 1


def finetune(place: Path, ranks: int, labels: Path, out: Path, *overrides: str) -> subprocess.CompletedProcess:
    return launch(
        ranks, "finetune", "--model", place / "base", "--labels", labels, "--out", out, "--device", "cpu",
        f"batch_size={8 // ranks}", "accumulation=1", "epochs=1", "learning_rate=1e-3", "save_every=0", "max_grad_norm=1e9", *overrides,
    )  # fmt: skip


def test_two_ranks_train_as_one_with_twice_the_batch(place, tmp_path):
    assert label(place, 1, tmp_path / "labels").returncode == 0
    first = {}
    for ranks in (1, 2):
        done = finetune(place, ranks, tmp_path / "labels", tmp_path / f"out-{ranks}")
        assert done.returncode == 0, done.stderr[-2000:]
        assert ranks_of(tmp_path / f"out-{ranks}") == {ranks}
        first[ranks] = json.loads((tmp_path / f"out-{ranks}" / "finetune" / "history.json").read_text())
    assert len(first[1]) == len(first[2])
    # the same blocks are in each optimiser step, split over the ranks: the loss is averaged over tokens, not over ranks
    losses = {
        ranks: [h["loss"] for h in history[:-1]] for ranks, history in first.items()
    }  # the last step is filled up unevenly
    assert losses[2] == pytest.approx(losses[1], rel=1e-4)


def test_fsdp_that_is_none_is_refused(place, tmp_path):
    assert label(place, 1, tmp_path / "labels").returncode == 0
    done = finetune(place, 2, tmp_path / "labels", tmp_path / "out", "extra={fsdp: true}")
    assert done.returncode != 0
    assert "not sharded" in done.stderr


def test_two_ranks_take_the_step_of_one_where_blocks_of_the_rest_stand_beside(place, tmp_path):
    """One SGD step over all pairs, of which some have no block of the rest: the counts are added up over ranks."""
    from safetensors.torch import load_file

    (place / "few.txt").write_text("\n".join(tiny.TEXT[:4]))
    (place / "rest.txt").write_text("\n".join(tiny.TEXT[4:8]))
    after = []
    for ranks in (1, 2):
        recipe = tmp_path / f"{ranks}.yaml"
        training = {"batch_size": 2, "accumulation": 4 // ranks, "max_steps": 1, "learning_rate": 0.1,
                    "schedule": "constant", "save_every": 0, "max_grad_norm": 1e9, "extra": {"optim": "sgd"}}  # fmt: skip
        content = {
            "model": str(place / "base"), "corpus": str(place / "few.txt"), "out": str(tmp_path / str(ranks)), "device": "cpu",
            "method": "npo", "retain": {"corpus": str(place / "rest.txt"), "share": 0.5}, "labels": {"block_tokens": 20}, "finetune": training,
        }  # fmt: skip
        recipe.write_text(json.dumps(content))
        done = launch(ranks, "run", recipe)
        assert done.returncode == 0, done.stderr[-2000:]
        assert ranks_of(tmp_path / str(ranks)) == {ranks}
        after.append(load_file(tmp_path / str(ranks) / "checkpoints/checkpoint-1/model.safetensors"))
    before = load_file(place / "base" / "model.safetensors")
    one, two = ({name: weights[name] - before[name] for name in before} for weights in after)
    assert any(step.abs().max() > 0 for step in one.values())
    for name, step in one.items():
        assert (step - two[name]).abs().max() <= 1e-3 * step.abs().max() + 1e-7, name
