"""Samples that plain `lm_eval --log_samples` or `hp_bench.scoring.store.save` wrote -> verdicts, scorecard."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonlines

from hp_bench.judges import Judge
from hp_bench.judges.grades import Verdict, metrics
from hp_bench.judges.llm.judge import LanguageModelJudge
from hp_bench.judges.references import names_answer
from hp_bench.probes.foreign import NO_REFERENCE
from hp_bench.probes.rows import Probe
from hp_bench.results.metrics import known
from hp_bench.results.scorecard import UNSCORED_LIMIT, Manifest, Measurement, Scorecard, TaskManifest, measure
from unlearn.files import write_lines

_SLICES = ("kind", "subtlety", "topic")


@dataclass(frozen=True)
class Sample:
    """A completion that was kept (None if the engine failed), with its prompt (raw, without any chat template) and that one's id; its kind,
    subtlety and topic, and its references, where known.
    """

    id: str
    prompt: str
    completion: str | None
    slices: Mapping[str, Any]
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A file of samples after judging: the names of model, lm-eval task and judge; one verdict a sample; familiarity and the rates of the
    grades; and the run's scorecard of this task, with these numbers and this judge, if the run left a manifest.
    """

    name: str
    task: str
    judge: str
    samples: tuple[Sample, ...]
    verdicts: tuple[Verdict, ...]
    measurements: tuple[Measurement, ...]
    card: Scorecard | None

    @property
    def failed(self) -> bool:
        """Whether more than 1 % of the completions could not be scored."""
        return sum(verdict.grade is None for verdict in self.verdicts) > UNSCORED_LIMIT * len(self.verdicts)


def save(judged: Sequence[Judged], folder: Path) -> None:
    """Writes `samples/<name>/<task>.jsonl` of each, replies included, then one `scorecards/<name>.json` a model.

    Raises ValueError: two files are of the same model and task.
    """
    places = [(one.name, one.task) for one in judged]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is not None:
        raise ValueError(
            f"two of the samples files are of {twice[0]} and {twice[1]}: judge them one at a time, with --out each"
        )
    for one in judged:
        rows = (
            {"id": s.id, "prompt": s.prompt, "responses": [s.completion], **s.slices, "verdict": verdict.to_dict()}
            for s, verdict in zip(one.samples, one.verdicts, strict=True)
        )
        write_lines(folder / "samples" / one.name / f"{one.task}.jsonl", rows)
    for name in dict.fromkeys(one.name for one in judged):
        cards = [one.card for one in judged if one.name == name and one.card is not None]
        if cards:
            merged(cards).save(folder / "scorecards" / f"{name}.json")


def rejudge(path: Path, judge: Judge, probes: Sequence[Probe]) -> Judged:
    """Grades every completion of a samples file; references that it does not hold are looked up in `probes`, by prompt.

    Raises:
        ValueError: the file holds something else, or a judge other than a language model needs references that are not there.
    """
    samples = read_samples(path)
    items = [(_probe(path, sample, judge, probes), sample.completion) for sample in samples]
    verdicts = [
        replace(verdict, named=None if text is None else names_answer(probe.prompt, probe.references, text))
        for (probe, text), verdict in zip(items, judge.grade(items), strict=True)
    ]
    name, task = _named(path)
    values = _values(verdicts)
    degenerate = sum(value == 1 for value in values["degenerate"])
    measurements = tuple(measure(task, metric, column, degenerate=degenerate) for metric, column in values.items())
    ids = [sample.id for sample in samples]
    numbers = {"values": {task: values}, "measurements": measurements}
    card = _card_of(path, name, task, judge=judge.name, ids=ids, **numbers)
    return Judged(name, task, judge.name, tuple(samples), tuple(verdicts), measurements, card)


def read_samples(path: Path) -> list[Sample]:
    """The completions in a samples file, in its order. Raises ValueError: it cannot be read, or a line is no completion."""
    found = []
    try:
        with jsonlines.open(path) as lines:
            for number, row in enumerate(lines.iter(type=dict), 1):
                try:
                    found.append(_sample(row))
                except (KeyError, IndexError, TypeError, ValueError):
                    raise ValueError(
                        f"{path}, line {number}: not a sample of a completion task (one completion a prompt)"
                    ) from None
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except jsonlines.InvalidLineError as error:
        raise ValueError(f"{path}, line {error.lineno}: not a JSON object") from None
    if not found:
        raise ValueError(f"{str(path)!r} holds no samples")
    return found


def stand_in(id: str, prompt: str, references: Sequence[str] = ()) -> Probe:
    """A probe of a prompt whose references may be unknown."""
    return Probe(id, prompt, tuple(references) or (NO_REFERENCE,), kind="partial", subtlety=5, topic="")


def _sample(row: Mapping[str, Any]) -> Sample:
    doc = row.get("doc", row)
    (completion,) = row["resps"][0] if "doc" in row else row["responses"]
    if not (completion is None or isinstance(completion, str)) or not isinstance(doc["prompt"], str):
        raise TypeError
    slices, name = {key: doc[key] for key in _SLICES if key in doc}, str(doc.get("id", row.get("doc_id")))
    return Sample(name, doc["prompt"], completion, slices, tuple(doc.get("references", ())))


def _probe(path: Path, sample: Sample, judge: Judge, probes: Sequence[Probe]) -> Probe:
    for probe in probes:
        if probe.prompt == sample.prompt:
            return probe
    if not sample.references and not isinstance(judge, LanguageModelJudge):
        raise ValueError(
            f"{path}: prompt {sample.id!r} is not in the prompt file, and {judge.name} needs its references: name its file with --prompts"
        )
    return stand_in(sample.id, sample.prompt, sample.references)


def _named(path: Path) -> tuple[str, str]:
    """Model and task, from the file's place: `samples/<model>/<task>.jsonl`, or lm-eval's `<model>/samples_<task>_<date>.jsonl`."""
    if path.stem.startswith("samples_"):
        return path.parent.name, path.stem.removeprefix("samples_").rsplit("_", 1)[0]
    return path.parent.name or path.stem, path.stem


def _values(verdicts: Sequence[Verdict]) -> dict[str, list[float | None]]:
    columns: dict[str, list[float | None]] = {}
    for verdict in verdicts:
        for name, value in known(metrics(verdict)).items():
            columns.setdefault(name, []).append(None if math.isnan(value) else value)
    return columns


def _card_of(path: Path, name: str, task: str, *, judge: str, ids: Sequence[str], **numbers: Any) -> Scorecard | None:
    """A scorecard of this task alone, with this judge's numbers; None where the run left no manifest.

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
    return replace(card, items={task: list(ids)}, manifest=manifest, failures={}, **numbers)


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
            decoding=json.dumps(config["generation_kwargs"]),
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
