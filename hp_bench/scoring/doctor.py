"""Would a score work here? The machine, and a model on it: what `hp-bench doctor` says, and nothing is scored."""

import copy
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any

import hp_bench
from hp_bench.engines.fit import examine, reason_of, unscored
from hp_bench.engines.hf import BATCH_SIZE
from hp_bench.engines.loader import EngineSettings, Loader
from hp_bench.engines.source import locate, stored_dtype, weight_files
from hp_bench.progress import quiet_host
from hp_bench.results.scorecard import UNSCORED_LIMIT
from hp_bench.scoring.score import is_chat
from unlearn.files import packaged

#: Libraries that a number may depend on, or that loads a model.
_LIBRARIES = ("torch", "transformers", "tokenizers", "lm_eval", "datasets", "accelerate", "peft", "safetensors", "vllm")

#: Engine -> the packages it needs, and how to get them.
_NEEDS = {
    "hf": (("torch", "transformers"), "pip install hp-bench"),
    "vllm": (("vllm",), "pip install 'hp-bench[vllm]'"),
    "endpoint": (("aiohttp", "tenacity"), "pip install 'hp-bench[endpoint]'"),
}

#: New tokens of the two trials that decoding is timed by.
_FEW, _MORE = 4, 20

#: Seconds after which only single prompts are tried.
PATIENCE = 20

_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Machine:
    """What is here.

    Attributes:
        versions: library -> what is installed and what was tested; "" where it was not.
        engines: name -> how to get what it lacks; "" if it works.
        cores: that this process may use.
        load: processes that run or wait to run here, on average of the last minute.
        memory_gib: of the machine.
        free_gib: of it, or of the GPU where there is one.
        gpus: their names.
    """

    versions: Mapping[str, tuple[str, str]]
    engines: Mapping[str, str]
    cores: int
    load: float
    memory_gib: float
    free_gib: float
    gpus: Sequence[str]


@dataclass(frozen=True)
class Fitness:
    """A model on this machine.

    Attributes:
        model: as it was named.
        refused: why a score of it would be refused, or fail; "" if it would not.
        findings: what a reader of the score should know.
        parameters: of the model; 0 where it is served.
        dtype: of its weights as they would be scored.
        context: longest prompt and completion, in tokens.
        chat_template: whether its tokenizer has one.
        requests: that the tasks make: completions to be written, and log-likelihoods to be computed.
        completions: how many of them are completions.
        seconds: that a score takes here, about, by a trial of some prompts; None where it would be refused.
        at_most: whether it is an upper bound: the machine is too slow, or too busy, to try as many prompts as are asked at once.
    """

    model: str
    refused: str = ""
    findings: Sequence[str] = ()
    parameters: int = 0
    dtype: str = ""
    context: int = 0
    chat_template: bool = False
    requests: int = 0
    completions: int = 0
    seconds: float | None = None
    at_most: bool = False


def machine() -> Machine:
    """Looks at this machine."""
    import os

    import psutil
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    lacking = {name: how for name, (needs, how) in _NEEDS.items() if not all(map(find_spec, needs))}
    return Machine(
        _versions(), {name: lacking.get(name, "") for name in _NEEDS}, cores, psutil.getloadavg()[0], _gib(memory.total),
        _gib(torch.cuda.mem_get_info()[0] if gpus else memory.available), gpus,
    )  # fmt: skip


def _versions() -> dict[str, tuple[str, str]]:
    file = packaged(Path(hp_bench.__file__).parent, "constraints/tested.txt")
    tested = dict(line.split("==") for line in file.read_text(encoding="utf-8").split() if "==" in line)
    installed = {}
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            installed[library] = (version(library).partition("+")[0], tested.get(library, ""))
    return installed


def fitness(model: str, settings: EngineSettings, loaded: Mapping[str, Any], free_gib: float) -> Fitness:
    """Loads a model as a score would, looks at what it would be asked, and asks it a little to see how long that takes.

    Args:
        model: folder, hub id or address.
        settings: of the engine.
        loaded: the tasks, from `load_tasks`.
        free_gib: memory; a model whose weights are larger is not loaded.
    """
    found = Fitness(model)
    try:
        if settings.engine_of(model) != "endpoint":
            _require_memory(model, settings, free_gib)
        with Loader(settings) as loader:
            engine = loader(model)
            found = replace(found, **_known(engine), findings=tuple(engine.lm.findings))
            with quiet_host():
                requests = _requests(engine.lm, loaded)
            examined = examine(engine.lm, requests)
            written = sum(request.request_type == "generate_until" for request in requests)
            found = replace(found, requests=len(requests), completions=written)
            found = replace(found, findings=(*found.findings, *examined, *unscored(requests)))
            _require_scored(requests)
            seconds, at_most = _seconds(engine.lm, requests)
            return replace(found, seconds=seconds, at_most=at_most)
    except (ValueError, RuntimeError, OSError) as error:
        return replace(found, refused=" ".join(str(error).split()))


def _require_memory(model: str, settings: EngineSettings, free_gib: float) -> None:
    source = locate(model, base=settings.base)
    folders = {folder for one in (source, source.whole) if (folder := Path(one.path)).is_dir()}
    files = [file for folder in folders for file in weight_files(folder)]
    stored = stored_dtype(source)
    wide = _BYTES.get(settings.dtype, 0) / _BYTES.get(stored, 4) if settings.dtype != "auto" else 1
    needed = _gib(sum(file.stat().st_size for file in files if file.is_file()) * wide)
    if needed > free_gib:
        raise ValueError(f"its weights need {needed:.1f} GiB of memory, and {free_gib:.1f} GiB are free here")


def _known(engine: Any) -> dict[str, Any]:
    lm = engine.lm
    weights = getattr(getattr(lm, "model", None), "parameters", tuple)
    parameters = sum(weight.numel() for weight in weights())
    template = bool(getattr(getattr(lm, "tokenizer", None), "chat_template", None))
    return {"parameters": parameters, "dtype": engine.dtype, "context": int(lm.max_length), "chat_template": template}


def _requests(lm: Any, loaded: Mapping[str, Any]) -> list[Any]:
    """All that the tasks would ask, built as lm-eval's `evaluate` does."""
    requests = []
    for task in loaded["tasks"].values():
        chat = is_chat(task)
        task.set_config(key="num_fewshot", value=task.get_config("num_fewshot") or 0)
        task.build_all_requests(
            rank=0, world_size=1, apply_chat_template=chat, chat_template=lm.apply_chat_template if chat else None,
            tokenizer_name=getattr(lm, "tokenizer_name", "") if chat else "",
        )  # fmt: skip
        requests += [request for request in task.instances for _ in range(request.repeats or 1)]
    return requests


def _require_scored(requests: Sequence[Any]) -> None:
    """Raises ValueError if more requests of a task could not be asked than a score may leave out."""
    by_task: dict[str, list[str]] = defaultdict(list)
    for request in requests:
        by_task[request.task_name].append(reason_of(request))
    for task, reasons in by_task.items():
        if len(lost := [reason for reason in reasons if reason]) > UNSCORED_LIMIT * len(reasons):
            raise ValueError(f"{len(lost)} of {len(reasons)} requests of {task} cannot be asked: {lost[0]}")


def _seconds(lm: Any, requests: Sequence[Any]) -> tuple[float, bool]:
    """By a batch of every kind of request; completions by a few tokens and a few more, so that prompts and tokens are told apart.

    Where that takes too long, fewer prompts are tried, and then no further tokens. The time is an upper bound then, and the second value
    True: a prompt takes longer alone than among others, and a first token, for which the prompt is read, longer than a later one.
    """
    began = time.perf_counter()
    batch = lm.batch_size if isinstance(getattr(lm, "batch_size", None), int) else BATCH_SIZE
    kinds: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for request in requests:
        new = request.args[1].get("max_gen_toks", 256) if request.request_type == "generate_until" else 0
        kinds[request.request_type, new].append(request)
    total, at_most = 0.0, False
    for (kind, new), asked in kinds.items():
        few = min(new, _FEW)
        for _ in ("to warm up", "for the time"):
            taken = _timed(lm, kind, asked[:1], few)
        most, left = min(batch, len(asked)), PATIENCE - (time.perf_counter() - began)
        rows = max(1, min(most, int(left / max(taken, 1e-6))))
        if rows > 1:
            taken = _timed(lm, kind, asked[:rows], few)
        if new > _MORE and time.perf_counter() - began < PATIENCE:
            taken += max(_timed(lm, kind, asked[:rows], _MORE) - taken, 0) * (new - _FEW) / (_MORE - _FEW)
        elif new > _MORE:
            taken, at_most = taken * new / few, True
        at_most |= rows < most
        total += taken * ceil(len(asked) / rows)
    return round(total, 1), at_most


def _timed(lm: Any, kind: str, requests: Sequence[Any], new: int) -> float:
    asked = [copy.copy(request) for request in requests]
    for request in asked if new else ():
        request.arguments = (request.args[0], {**request.args[1], "max_gen_toks": new})
        vars(request).pop("thinking_tokens", None)
    began = time.perf_counter()
    with quiet_host():
        getattr(lm, kind)(asked, disable_tqdm=True)
    return time.perf_counter() - began


def _gib(size: float) -> float:
    return round(size / 1024**3, 1)
