"""Labelling by one process and by two (gloo on the CPU, one thread each): seconds of the stage, and whether labels are the same bytes."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROUNDS = 2
RANKS = (1, 2)
BLOCKS = 256
GOAL = ">= 1.7"


def run() -> list[dict[str, Any]]:
    """One result a number of processes."""
    from benchmarks.pair import models
    from benchmarks.prose import anchors, prose, tokenizer

    stage: dict[int, list[float]] = {ranks: [] for ranks in RANKS}
    whole: dict[int, list[float]] = {ranks: [] for ranks in RANKS}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, model in zip(("baseline", "reinforced"), models(32_000, layers=2, hidden=256), strict=True):
            model.save_pretrained(root / name)
            tokenizer().save_pretrained(root / name)
        (root / "target.txt").write_text(prose(1_300 * BLOCKS), encoding="utf-8")
        rows = [{"anchor": a.anchor, "translations": list(a.translations)} for a in anchors(1500)]
        (root / "anchors.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        for number in range(ROUNDS):
            for ranks in RANKS:
                began = time.perf_counter()
                stage[ranks].append(_label(root, ranks, root / f"{number}-{ranks}"))
                whole[ranks].append(time.perf_counter() - began)
        one, two = ((root / f"0-{ranks}" / "labels" / "data-00000-of-00001.arrow").read_bytes() for ranks in RANKS)
        same = one == two
    return [
        {
            "processes": ranks, "seconds of the stage": median(stage[ranks]), "seconds of the command": median(whole[ranks]),
            "x speed of the stage": median(a / b for a, b in zip(stage[1], stage[ranks], strict=True)),
            "same labels": same, "goal": GOAL if ranks > 1 else "",
        }
        for ranks in RANKS
    ]  # fmt: skip


def _label(root: Path, ranks: int, out: Path) -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        str(ranks),
        "--master_port",
        str(port),
        "-m",
        "unlearn",
    ]
    arguments = [
        "label", "--baseline", root / "baseline", "--reinforced", root / "reinforced", "--corpus", root / "target.txt",
        "--anchors", root / "anchors.jsonl", "--block-tokens", 192, "--device", "cpu", "--out", out / "labels", "batch_blocks=4",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
        "TOKENIZERS_PARALLELISM": "false",
    }
    subprocess.run([*command, *map(str, arguments)], check=True, capture_output=True, env=environment)
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return float(next(e["seconds"] for e in entries if e.get("stage") == "labels"))
