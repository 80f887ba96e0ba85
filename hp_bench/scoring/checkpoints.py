"""What is scored: models by name, and the checkpoints of a fine-tune, found in folders."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from unlearn.files import find_model


@dataclass(frozen=True)
class Checkpoint:
    """A model that is scored: its name, for tables and files, its folder or hub id, and its optimiser steps since the baseline; None for a
    model that is on no curve, such as a twin.
    """

    name: str
    path: str
    step: int | None = None


def model_name(model: str | Path) -> str:
    """A model's name for tables: the last part of its folder, hub id or address."""
    model = str(model)
    return (Path(model.partition("#")[2] or model).name or Path(model).resolve().name) or model


def named_models(models: Sequence[str], baseline: str = "") -> list[Checkpoint]:
    """Models with distinct names, the baseline first. Raises ValueError: a folder does not exist, or a server is not there."""
    given = [baseline, *(model for model in models if model != baseline)] if baseline else [*models]
    for number, model in enumerate(given):
        if model.startswith(("http://", "https://")):
            from hp_bench.engines.endpoint import require_server

            require_server(model)
        else:
            given[number] = find_model(model)
    names = [model_name(model) for model in given]
    points: list[Checkpoint] = []
    for model, name in zip(given, names, strict=True):
        path = Path(model).resolve() if Path(model).is_dir() else Path(model)
        unique = name if names.count(name) == 1 else f"{method_name(path.parent)}-{name}"
        while any(point.name == unique for point in points):
            unique += "-again"
        points.append(Checkpoint("baseline", model, 0) if baseline and not points else Checkpoint(unique, model))
    return points


def checkpoints_in(folder: Path | str) -> list[Checkpoint]:
    """The `checkpoint-<steps>` folders of a fine-tune, by steps; a run directory's are in its `checkpoints`. ValueError: there is none."""
    checkpoints = _checkpoints(Path(folder))
    if not checkpoints:
        raise ValueError(f"{str(folder)!r} holds no checkpoint-<steps> folder")
    return sorted(checkpoints, key=lambda checkpoint: checkpoint.step or 0)


def is_model(path: str | Path) -> bool:
    """Whether a name is one model's, rather than that of a folder of checkpoints; a Trainer's output folder may look like both."""
    folder = Path(path)
    settings = any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))
    return not folder.is_dir() or (settings and not _checkpoints(folder))


def _checkpoints(folder: Path) -> list[Checkpoint]:
    within = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    return [
        Checkpoint(path.name, str(path), int(match.group(1)))
        for path in within.glob("checkpoint-*")
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name)) and path.is_dir()
    ]


def points_of(models: Sequence[str | Path]) -> list[Checkpoint]:
    """A method's points: a folder's checkpoints, or models that carry their steps.

    Raises ValueError: a folder does not exist, a model's steps are unknown, or two have the same.
    """
    if len(models) == 1 and not is_model(models[0]):
        return checkpoints_in(models[0])
    points = []
    for model in map(str, models):
        steps, separator, path = model.partition(":")
        if not (separator and steps.isdigit()):
            path = model
            match = re.search(r"(\d+)/?$", model)
            if match is None:
                if not Path(model).exists():
                    raise ValueError(
                        f"there is no folder {model!r}; a curve wants a run directory of `unlearn run`, a folder of checkpoints such as "
                        "checkpoint-100, or models whose names end in their optimiser steps"
                    )
                raise ValueError(
                    f"how many optimiser steps is {model!r}? Its name does not end in a number: write <steps>:{model}"
                )
            steps = match.group(1)
        path = find_model(path)
        points.append(Checkpoint(Path(path).name, path, int(steps)))
    points.sort(key=lambda point: point.step or 0)
    for one, other in pairwise(points):
        if one.step == other.step:
            raise ValueError(f"{one.path!r} and {other.path!r} are both at step {one.step}")
    return points


def named_baseline(folder: str | Path) -> str | None:
    """The baseline that a run directory's recipe names; None if the folder is none."""
    for path in (Path(folder) / "recipe.yaml", Path(folder).parent / "recipe.yaml"):
        if path.is_file():
            import yaml

            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            model = content.get("model") if isinstance(content, dict) else None
            return str(model) if model else None
    return None


def method_name(folder: str | Path) -> str:
    """A method's name: its folder's, or, of `run/checkpoints`, the run's."""
    path = Path(folder).resolve() if Path(folder).exists() else Path(folder)
    return path.parent.name if path.name == "checkpoints" else path.name
