"""`prepare`: a folder with a miniature in it: text, tokenizer, a baseline that knows the target, and twins that do not."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jsonlines
from rich.progress import Progress, TaskID

from hp_bench.miniature.library import Library
from hp_bench.miniature.pretrain import BASELINE, token_counts, train_tokenizer
from hp_bench.miniature.probes import familiarity_probes, lexicon, token_probes
from hp_bench.miniature.settings import Plan, Settings
from hp_bench.miniature.translations import anchors
from hp_bench.miniature.utility import utility_items
from hp_bench.miniature.world import TARGETS
from unlearn.exits import ProcessKilled
from unlearn.progress import progress_bars


@dataclass(frozen=True)
class Miniature:
    """A prepared miniature; every path exists.

    Attributes:
        folder: holds all of it.
        plan: what it was made from.
        twins: model folders, twin-1 first.
    """

    folder: Path
    plan: Plan
    twins: tuple[Path, ...]

    @property
    def baseline(self) -> Path:
        """Model that has read the rest and the target."""
        return self.folder / BASELINE

    @property
    def corpus(self) -> Path:
        """The unlearn target: JSON lines with a `text`, one story each."""
        return self.folder / "text" / "target.jsonl"

    @property
    def anchors(self) -> Path:
        """The target's anchor dictionary."""
        return self.folder / "text" / "anchors.jsonl"

    @property
    def prompts(self) -> Path:
        """Folder of the prompt files, named as the tasks of `hp_bench.miniature.tasks` want them."""
        return self.folder / "text" / "prompts"

    @property
    def rest(self) -> Path:
        """Text of the rest that the models have read: JSON lines with a `text`, one story each."""
        return self.folder / "text" / "rest.jsonl"

    def distance_texts(self, count: int = 100) -> dict[str, list[str]]:
        """Texts on which distances to the twins are measured: the first of the target, and the first of the rest that no model has read."""
        files = {"target": self.corpus, "rest": self.prompts / "rest.jsonl"}
        return {kind: [row["text"] for row in _rows(path)[:count]] for kind, path in files.items()}


def prepare(
    folder: Path | str,
    *,
    target: str = "harry-potter",
    seed: int = 0,
    twins: int = 1,
    settings: Settings | None = None,
) -> Miniature:
    """Makes a miniature, or what is missing of it; what a folder already holds is kept.

    Every model is trained on one thread in a process of its own, as many at a time as there are cores, so its weights depend neither
    on the number of twins nor on the machine's number of cores.

    Args:
        folder: made if need be.
        target: a key of `TARGETS`.
        seed: of text, batches and weights; twin n starts from other weights, drawn from seed and n.
        twins: how many models to train on the rest alone.
        settings: sizes; default: those whose figures `docs/miniature.md` reports.

    Raises:
        ValueError: the target is unknown, or the folder cannot be made or holds a miniature made otherwise.
        RuntimeError: a training process died; the message ends with what it said last.
    """
    if target not in TARGETS:
        raise ValueError(f"unknown target {target!r}; available: {', '.join(TARGETS)}")
    folder, plan = Path(folder), Plan(target, seed, settings or Settings())
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"folder {str(folder)!r} cannot be made: {error.strerror}") from None
    if (folder / "text").exists():
        _same_plan(folder, plan)
    else:
        _write_text(folder, plan)
    models = [BASELINE, *(f"twin-{number}" for number in range(1, twins + 1))]
    _train_all(folder, [name for name in models if not (folder / name).exists()], plan.settings.steps)
    return Miniature(folder, plan, tuple(folder / name for name in models[1:]))


def load(folder: Path | str) -> Miniature:
    """A miniature that `prepare` has made.

    Raises:
        ValueError: there is none in the folder.
    """
    folder = Path(folder)
    if not (folder / BASELINE).is_dir():
        raise ValueError(f"{str(folder)!r} holds no miniature; `prepare` makes one")
    return Miniature(folder, _plan(folder), tuple(sorted(folder.glob("twin-*"), key=_number)))


def _number(twin: Path) -> int:
    return int(twin.name.removeprefix("twin-"))


def _plan(folder: Path) -> Plan:
    path = folder / "text" / "plan.json"
    try:
        return Plan.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(path)!r} is not the plan of a miniature: {error}") from None


def _same_plan(folder: Path, plan: Plan) -> None:
    difference = _plan(folder).difference(plan)
    if difference:
        raise ValueError(f"{str(folder)!r} holds another miniature ({difference}); choose another folder or remove it")


def _write_text(folder: Path, plan: Plan) -> None:
    """Everything that is no model, under a temporary name first."""
    library, settings = Library.write(plan), plan.settings
    temporary = folder / "text.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "prompts").mkdir(parents=True)
    tokenizer = train_tokenizer(library.rest, vocabulary=settings.vocabulary, context=settings.context)
    tokenizer.save_pretrained(temporary / "tokenizer")
    _write_rows(temporary / "rest.jsonl", [{"text": text} for text in library.rest])
    _write_rows(temporary / "target.jsonl", [{"text": text} for text in library.target])
    _write_rows(temporary / "anchors.jsonl", [asdict(anchor) for anchor in anchors(plan.target)])
    prompts = temporary / "prompts"
    _write_rows(prompts / "familiarity.jsonl", [asdict(probe) for probe in familiarity_probes(plan.target)])
    _write_rows(prompts / "token_probability.jsonl", [asdict(probe) for probe in token_probes(plan.target)])
    _write_rows(prompts / "lexicon.jsonl", [asdict(term) for term in lexicon(plan.target)])
    _write_rows(prompts / "utility.jsonl", [asdict(item) for item in utility_items(library, plan.seed)])
    lengths = [sum(token_counts(tokenizer, [text]).values()) for text in library.held_out]
    held_out = enumerate(zip(library.held_out, lengths, strict=True))
    _write_rows(
        prompts / "rest.jsonl", [{"id": f"rest-{n}", "text": text, "tokens": length} for n, (text, length) in held_out]
    )
    (prompts / "vocabulary.txt").write_text("\n".join(library.words) + "\n", encoding="utf-8")
    (temporary / "plan.json").write_text(json.dumps(plan.to_dict(), indent=1) + "\n", encoding="utf-8")
    temporary.rename(folder / "text")


def _rows(path: Path) -> list[dict[str, Any]]:
    with jsonlines.open(path) as lines:
        return list(lines)


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with jsonlines.open(path, "w") as lines:
        lines.write_all(rows)


def _train_all(folder: Path, names: Sequence[str], steps: int) -> None:
    """Trains models side by side; if one fails or the user interrupts, the others are ended."""
    if not names:
        return
    processes: list[subprocess.Popen[str]] = []
    with progress_bars() as progress, ThreadPoolExecutor(max_workers=_cores()) as pool:
        rows = {name: progress.add_task(f"pretraining {name}", total=steps) for name in names}
        jobs = [pool.submit(_train_one, folder, name, processes, progress, rows[name]) for name in names]
        try:
            for job in as_completed(jobs):
                job.result()
        except BaseException:
            for job in jobs:
                job.cancel()
            for process in processes:
                process.kill()
            raise
        finally:
            for row in rows.values():
                progress.remove_task(row)


def _train_one(
    folder: Path, name: str, processes: list["subprocess.Popen[str]"], progress: Progress, row: TaskID
) -> None:
    out = folder / f".{name}.tmp"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "hp_bench.miniature.pretrain", str(folder / "text"), name, str(out)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment()
    ) as process:
        processes.append(process)
        said: deque[str] = deque(maxlen=20)
        for line in process.stdout or ():
            if line.startswith('{"step"'):
                progress.update(row, completed=json.loads(line)["step"])
            else:
                said.append(line)
    if -process.returncode in (signal.SIGKILL, signal.SIGTERM):
        raise ProcessKilled(f"pretraining {name}")
    if process.returncode:
        raise RuntimeError(f"pretraining {name} ended with status {process.returncode}:\n{''.join(said)}")
    out.rename(folder / name)


def _environment() -> dict[str, str]:
    """One thread, and this very package importable, installed or not."""
    package = Path(__file__).resolve().parents[2]
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }


def _cores() -> int:
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available else os.cpu_count() or 1
