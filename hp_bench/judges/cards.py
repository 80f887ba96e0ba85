"""The scorecard of a judged samples file: the run's own with another judge, or one made of what plain lm-eval wrote beside the samples."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hp_bench.scorecard import Manifest, Measurement, Scorecard, TaskManifest

Values = Mapping[str, Sequence[float | None]]


def card_of(
    path: Path,
    name: str,
    task: str,
    *,
    judge: str,
    ids: Sequence[str],
    values: Values,
    measurements: Sequence[Measurement],
) -> Scorecard | None:
    """A scorecard of this task alone, with this judge's numbers; None where the run left no manifest.

    Args:
        path: of the samples file.
        name: of the model.
        task: lm-eval task.
        judge: name of the judge.
        ids: of the prompts, in the file's order.
        values: metric -> one value a prompt.
        measurements: of the values.

    Raises:
        ValueError: the scorecard or results file beside the samples is of another run.
    """
    ours = path.parent.parent.parent / "scorecards" / f"{name}.json"
    date = path.stem.rsplit("_", 1)[-1]
    theirs = path.parent / f"results_{date}.json"
    if path.stem.startswith("samples_") and theirs.is_file():
        card = _of_lm_eval(theirs, name, task, len(ids))
    elif ours.is_file():
        card = Scorecard.load(ours)
        if task not in card.manifest.tasks or list(card.items[task]) != list(ids):
            raise ValueError(f"{path} and {ours} are not of the same run")
    else:
        return None
    manifest = replace(card.manifest, tasks={task: replace(card.manifest.tasks[task], judge=judge)})
    return replace(
        card,
        measurements=tuple(measurements),
        items={task: list(ids)},
        values={task: values},
        manifest=manifest,
        failures={},
    )


def merged(cards: Sequence[Scorecard]) -> Scorecard:
    """One scorecard of several tasks of the same run."""
    first = cards[0]
    return replace(
        first,
        measurements=tuple(m for card in cards for m in card.measurements),
        items={task: ids for card in cards for task, ids in card.items.items()},
        values={task: values for card in cards for task, values in card.values.items()},
        manifest=replace(first.manifest, tasks={t: m for card in cards for t, m in card.manifest.tasks.items()}),
    )


def _of_lm_eval(path: Path, name: str, task: str, n: int) -> Scorecard:
    """The manifest in lm-eval's results file, as a scorecard without numbers."""
    try:
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        config, metadata = results["configs"][task], results["configs"][task]["metadata"]
        manifest = TaskManifest(
            version=str(results["versions"][task]),
            n=n,
            prompts_sha256=metadata.get("prompts_sha256", ""),
            decoding=json.dumps(config["generation_kwargs"], sort_keys=True),
            chat_template=metadata.get("chat_template", ""),
            num_fewshot=int(config.get("num_fewshot") or 0),
        )
        run = results.get("config", {})
        versions = {"lm_eval": results.get("lm_eval_version"), "transformers": results.get("transformers_version")}
        return Scorecard(
            name=name,
            measurements=(),
            items={},
            values={},
            manifest=Manifest(
                model=str(results.get("model_name", name)),
                engine=str(results.get("model_source", "")),
                dtype=str(run.get("model_dtype", "")).removeprefix("torch."),
                tasks={task: manifest},
                versions={library: str(version) for library, version in versions.items() if version},
            ),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(path)!r} is no results file of lm-eval with {task}: {error}") from None
