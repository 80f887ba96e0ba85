"""Completions that are there already, of a run or made elsewhere -> verdicts and a scorecard."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hp_bench.judges import Judge
from hp_bench.judges.agreement import Agreement, against_own, read_grades
from hp_bench.judges.completions import Sample, read_samples
from hp_bench.judges.grades import Verdict, by_fame, grade_apart, metrics
from hp_bench.judges.llm.judge import LanguageModelJudge
from hp_bench.judges.references import flagged
from hp_bench.probes.foreign import LEXICON_ALONE, NO_REFERENCE, lenient_probe
from hp_bench.probes.rows import Probe, load_probes
from hp_bench.results.metrics import METRICS, known
from hp_bench.results.scorecard import ELSEWHERE, Manifest, Scorecard, TaskManifest, measure, merged
from hp_bench.text.completion import cut_at_blank_line, with_opening
from hp_bench.text.counted import counted
from unlearn.files import write_lines

#: Of `ELSEWHERE`; raised whenever a number could change.
VERSION = 1

#: What the decoding of completions that were cut ends with.
CUT = "; cut at the first blank line"


@dataclass(frozen=True)
class Reading:
    """How files of completions are read.

    Attributes:
        prompts: prompts whose references are known.
        names: as of `read_samples`.
        cut: whether a completion ends where the tasks' do, at the first blank line after a word.
        scale: of the grades that the completions came with, as of `read_grades`.
        source: of the prompts: the name of a task or file.
    """

    prompts: Sequence[Probe]
    names: Mapping[str, str] | None = None
    cut: bool = False
    scale: str = ""
    source: str = "the prompt file"


@dataclass(frozen=True)
class Judged:
    """A file of completions after judging.

    Attributes:
        samples: its rows, in their order.
        verdicts: one a sample.
        card: familiarity and the rates of the grades, of one task: the one of the run that it is of, or `ELSEWHERE`.
        own: the judge against the grades that the completions came with, if they did.
        said: sentences on how the file was read.
        counts: of a file made elsewhere: its prompts that are `known`, `of` how many, and its prompts with `no_reference`; its
            completions of which each `goes_on` after a blank line.
        told: sentences without which its numbers are not understood.
    """

    samples: tuple[Sample, ...]
    verdicts: tuple[Verdict, ...]
    card: Scorecard
    own: Agreement | None
    said: tuple[str, ...]
    counts: Mapping[str, int]
    told: tuple[str, ...]

    @property
    def task(self) -> str:
        """The task's name."""
        return next(iter(self.card.manifest.tasks))

    def unscored(self) -> dict[str, list[str]]:
        """Why completions have no grade -> where they stand in the file; the most frequent reason first."""
        places: dict[str, list[str]] = {}
        for sample, verdict in zip(self.samples, self.verdicts, strict=True):
            if verdict.grade is None:
                places.setdefault(verdict.unscored, []).append(sample.place)
        return dict(sorted(places.items(), key=lambda one: -len(one[1])))


def rejudge_all(paths: Sequence[Path], judge: Judge, reading: Reading) -> list[Judged]:
    """Every file, as `rejudge`; one made elsewhere is called by its name, and by its folder's too where another has that name.

    Raises ValueError also where two files are of one model and task.
    """
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else f"{path.resolve().parent.name}-{path.stem}" for path in paths]
    judged = [rejudge(path, judge, reading, name=name) for path, name in zip(paths, names, strict=True)]
    ((name, task), times), *_ = Counter((one.card.name, one.task) for one in judged).most_common(1)
    if times > 1:
        raise ValueError(f"two of the files are of {name} and {task}: judge them one at a time, with --out each")
    return judged


def rejudge(path: Path, judge: Judge, reading: Reading, *, name: str) -> Judged:
    """Grades every completion of a file; `name` is the model's, if its run left none.

    References are the prompt file's where the row's prompt holds one of that file; else the row's own, as far as they can count. Where
    there are none, the lexicon alone judges. Where most completions repeat their prompts first, they are judged without.

    Raises ValueError: no row can be read, or the judge could grade none; the grades of the rows are not of the scale that was chosen;
    or references of a run's prompts are unknown, and the judge is no language model.
    """
    samples, said = read_samples(path, reading.names, {probe.id: probe.prompt for probe in reading.prompts})
    if reading.scale:  # a wrong one is an error before anything is judged
        read_grades([sample.grade for sample in samples], reading.scale)
    several = len({sample.place for sample in samples}) < len(samples)  # in one row
    card = None if several else _run_of(path, samples)
    elsewhere = card is None or ELSEWHERE in card.items
    changes: Counter[str] = Counter()
    matched = _matched(samples, reading.prompts, within=elsewhere)
    probes = _probes(samples, matched, changes)
    if card is None:
        repeated = [_repeated(sample, known) for sample, known in zip(samples, matched, strict=True)]
        if 2 * sum(map(bool, repeated)) > len(samples):  # as generators return them
            samples = [
                replace(one, completion=(one.completion or "").lstrip()[length:]) if length else one
                for one, length in zip(samples, repeated, strict=True)
            ]
            begins = "{} completion[|s] begin[s|] with [its|their] prompt, which is left out"
            said.append(counted(begins, sum(map(bool, repeated))))
        # whether the prompt opened a trace, as the model saw it, is not known
        samples = [replace(one, completion=one.completion and with_opening(one.completion)) for one in samples]
    goes_on = sum(cut_at_blank_line(one.completion or "") != (one.completion or "") for one in samples)
    if reading.cut:
        samples = [replace(one, completion=one.completion and cut_at_blank_line(one.completion)) for one in samples]
    if card is None or elsewhere:
        samples = [_called_by_prompt(s, m or probe) for s, m, probe in zip(samples, matched, probes, strict=True)]
        items = list(dict.fromkeys(one.id for one in samples))
        card = replace(card or _elsewhere(path, name, len(items)), items={ELSEWHERE: items})
        if len(items) < len(samples):
            said.append(
                f"{len(samples)} completions of {len(items)} prompts: each number is the mean of a prompt's completions first"
            )
    elif not isinstance(judge, LanguageModelJudge):
        _require_references(path, judge, samples, matched)
    alone: set[str] = set()
    if not isinstance(judge, LanguageModelJudge):  # which goes by no reference
        asked = zip(samples, probes, strict=True)
        alone = {s.id for s, probe in asked if probe and probe.references == (NO_REFERENCE,)}
        said += [counted(sentence, count) for sentence, count in changes.items() if sentence != LEXICON_ALONE]
    verdicts = _verdicts(judge, samples, probes)
    if all(verdict.grade is None for verdict in verdicts):
        reasons = [v.unscored for s, v in zip(samples, verdicts, strict=True) if not s.problem]
        raise ValueError(
            f"judge {judge.name} graded no completion of {path}: {next(iter(reasons), verdicts[0].unscored)}"
        )
    own, sentence = against_own(judge.name, samples, verdicts, reading.scale)
    said += [sentence] if sentence else []
    fames = {sample.id: known.fame for sample, known in zip(samples, matched, strict=True) if known}
    card = _scored(card, judge.name, [one.id for one in samples], verdicts, fames, cut=reading.cut)
    counts = {
        "known": len({known.id for known in matched if known}), "of": len(reading.prompts), "no_reference": len(alone),
        "goes_on": goes_on,
    }  # fmt: skip
    told = _told(card, counts, len(samples), reading.source) if elsewhere else ()
    return Judged(tuple(samples), tuple(verdicts), card, own, tuple(said), counts, told)


def _told(card: Scorecard, counts: Mapping[str, int], n: int, source: str) -> tuple[str, ...]:
    """Sentences on `counts` of a file with n completions."""
    told = {
        f"It was asked {{}} of the {counts['of']} prompts of {source}.": counts["known"],
        f"No answer is known to {{}} prompt[|s], which [is|are] not in {source}: the lexicon alone judges [it|them], which lowers "
        "familiarity, and `named` leaves [it|them] out.": counts["no_reference"],
    }  # fmt: skip
    ends = (
        f"Completions are cut at their first blank line, as by the tasks: {{}} of {n} [was|were] longer."
        if card.manifest.tasks[ELSEWHERE].decoding.endswith(CUT)
        else f"Completions are judged whole; --cut would end {{}} of {n} at a blank line, as the tasks do."
    )
    said = [counted(sentence, count) for sentence, count in told.items() if count]
    return *said, counted(ends, counts["goes_on"])


def save(judged: Sequence[Judged], folder: Path) -> None:
    """Writes `samples/<name>/<task>.jsonl` of each, replies included, then one `scorecards/<name>.json` a model."""
    for one in judged:
        rows = (
            {"id": s.id, "prompt": s.prompt, "responses": [s.completion], **s.slices}
            | ({"references": list(s.references)} if s.references else {})
            | {"verdict": verdict.to_dict()}
            for s, verdict in zip(one.samples, one.verdicts, strict=True)
        )
        write_lines(folder / "samples" / one.card.name / f"{one.task}.jsonl", rows)
    for name in dict.fromkeys(one.card.name for one in judged):
        merged([one.card for one in judged if one.card.name == name]).save(folder / "scorecards" / f"{name}.json")


def _matched(samples: Sequence[Sample], prompts: Sequence[Probe], *, within: bool) -> list[Probe | None]:
    """The prompt of the file that each sample's prompt is; or, if `within` counts, that stands in it last, as after an instruction.

    What follows such a prompt is no further word of its line.
    """
    by_prompt = {probe.prompt: probe for probe in prompts}

    def match(asked: str) -> Probe | None:
        if asked in by_prompt or not within:
            return by_prompt.get(asked)
        held = [
            one for one in by_prompt if one in asked and re.search(rf"(?<!\w){re.escape(one)}(?![^\S\n]*\w)", asked)
        ]
        return by_prompt[max(held, key=lambda one: (asked.rindex(one) + len(one), len(one)))] if held else None

    found = {prompt: match(prompt) for prompt in {sample.prompt.rstrip() for sample in samples}}
    return [found[sample.prompt.rstrip()] for sample in samples]


def _probes(samples: Sequence[Sample], matched: Sequence[Probe | None], changes: Counter[str]) -> list[Probe | None]:
    """What every sample with a prompt is judged by; what was changed in a prompt's references is counted in `changes`, once."""
    probes: dict[tuple[str, tuple[str, ...]], Probe | None] = {}
    for s, ours in zip(samples, matched, strict=True):
        if (key := (s.prompt.rstrip(), s.references)) not in probes:
            references, fame = (ours.references, ours.fame) if ours else (s.references, None)
            same = ours if ours and ours.prompt == key[0] else None
            probes[key] = (same or lenient_probe(s.id, s.prompt, references, changes, fame=fame)) if key[0] else None
    return [probes[s.prompt.rstrip(), s.references] for s in samples]


def _repeated(sample: Sample, known: Probe | None) -> int:
    """How many characters of a completion repeat its prompt, white space before it aside."""
    said = (sample.completion or "").lstrip()
    for prompt in (sample.prompt.strip(), known.prompt if known else ""):
        if said.startswith(prompt) and not said[len(prompt) :][:1].isalnum():
            return len(prompt)
    return 0


def _require_references(path: Path, judge: Judge, samples: Sequence[Sample], matched: Sequence[Probe | None]) -> None:
    """Raises ValueError if a run's references are not known: its numbers would be others, under the same manifest."""
    for sample, probe in zip(samples, matched, strict=True):
        if not sample.problem and not sample.references and not probe:
            raise ValueError(
                f"{path}: prompt {sample.id!r} is not in the prompt file, and {judge.name} needs its references: "
                "name its file with --prompts"
            )


def _called_by_prompt(sample: Sample, probe: Probe | None) -> Sample:
    """A sample under the references that it is judged by, and a name made of them and the prompt: of two files, the same ones pair."""
    if probe is None:
        return replace(sample, id=sample.place)
    references = () if probe.references == (NO_REFERENCE,) else probe.references
    return replace(sample, id=_name_of(probe), references=references)


def _name_of(probe: Probe) -> str:
    digest = hashlib.sha256(json.dumps([probe.prompt, *sorted(probe.references)]).encode()).hexdigest()
    return f"prompt-{digest[:12]}"


def as_completions(card: Scorecard, task: str, prompts: Path) -> Scorecard:
    """What `hp-bench judge --cut` would make of a model's completions of a task, so that it compares with a file by prompt.

    The scorecard as it is where it does not hold the task, or was asked other prompts than those of the file `prompts`.
    """
    asked = card.manifest.tasks.get(task)
    if not asked or asked.prompts_sha256 != hashlib.sha256(prompts.read_bytes()).hexdigest():
        return card
    names = {probe.id: _name_of(probe) for probe in load_probes(prompts)}
    as_judged = TaskManifest(str(VERSION), asked.n, judge=asked.judge, decoding="unknown" + CUT)
    return replace(
        card,
        measurements=tuple(replace(m, task=ELSEWHERE) for m in card.measurements if m.task == task),
        items={ELSEWHERE: [names[id] for id in card.items[task]]},
        values={ELSEWHERE: card.values[task]},
        manifest=replace(card.manifest, tasks={ELSEWHERE: as_judged}),
    )


def _verdicts(judge: Judge, samples: Sequence[Sample], probes: Sequence[Probe | None]) -> list[Verdict]:
    """One a sample."""
    verdicts = [Verdict(None, unscored=sample.problem or "no prompt") for sample in samples]
    items = {
        number: (probe, sample.completion)
        for number, (sample, probe) in enumerate(zip(samples, probes, strict=True))
        if probe and not sample.problem
    }
    for number, verdict in zip(items, grade_apart(partial(flagged, judge), list(items.values())), strict=True):
        verdicts[number] = verdict
    return verdicts


def _scored(
    card: Scorecard, judge: str, ids: Sequence[str], verdicts: Sequence[Verdict], fames: Mapping[str, int | None], *, cut: bool
) -> Scorecard:  # fmt: skip
    """A scorecard with this judge's numbers; `ids`: of the prompt of each verdict, over which it is averaged; `fames`: by these."""
    ((task, manifest),) = card.manifest.tasks.items()
    by_prompt: dict[str, list[dict[str, float]]] = {}
    for id, verdict in zip(ids, verdicts, strict=True):
        numbers = metrics(verdict)
        by_prompt.setdefault(id, []).append(known({**numbers, **by_fame(numbers["explicit"], fames.get(id))}))
    columns: dict[str, list[float | None]] = {
        metric: [_mean([one[metric] for one in of_one]) for of_one in by_prompt.values()]
        for metric in next(iter(by_prompt.values()))[0]
    }
    columns = {metric: of for metric, of in columns.items() if not METRICS[metric].of_some or {*of} != {None}}
    degenerate = round(math.fsum(value or 0 for value in columns["degenerate"]))
    manifest = replace(manifest, judge=judge, decoding=manifest.decoding.removesuffix(CUT * cut) + CUT * cut)
    return replace(
        card, values={task: columns}, manifest=replace(card.manifest, tasks={task: manifest}),
        measurements=tuple(measure(task, metric, column, degenerate=degenerate) for metric, column in columns.items()),
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    """Of those that are numbers."""
    scored = [value for value in values if not math.isnan(value)]
    return math.fsum(scored) / len(scored) if scored else None


def _elsewhere(path: Path, name: str, n: int) -> Scorecard:
    """A scorecard without numbers, of `n` completions of which no more is known than their file."""
    task = TaskManifest(str(VERSION), n, decoding="unknown")
    return Scorecard(name, (), {}, {}, Manifest(str(path), engine="unknown", dtype="unknown", tasks={ELSEWHERE: task}))


def _run_of(path: Path, samples: list[Sample]) -> Scorecard | None:
    """A scorecard without numbers, of the task that a file is of in the run that wrote it; None if that left no manifest.

    Rows that cannot be read get their ids from it.

    Raises ValueError: the scorecard or results file beside the samples is of another run.
    """
    if path.stem.startswith("samples_"):  # lm-eval's: <model>/samples_<task>_<date>.jsonl
        task, _, date = path.stem.removeprefix("samples_").rpartition("_")
        results = path.parent / f"results_{date}.json"
        return _of_lm_eval(results, path.parent.name, task, [s.id for s in samples]) if results.is_file() else None
    task, ours = path.stem, path.parent.parent.parent / "scorecards" / f"{path.parent.name}.json"
    if not ours.is_file():
        return None
    card = Scorecard.load(ours)
    items = list(card.items.get(task, ()))
    if len(items) == len(samples):
        samples[:] = [replace(s, id=id) if s.problem else s for s, id in zip(samples, items, strict=True)]
    ids = [s.id for s in samples]
    if task not in card.manifest.tasks or items != (list(dict.fromkeys(ids)) if task == ELSEWHERE else ids):
        raise ValueError(f"{path} and {ours} are not of the same run")
    manifest = replace(card.manifest, tasks={task: card.manifest.tasks[task]})
    return replace(card, items={task: items}, manifest=manifest, failures={})


def _of_lm_eval(path: Path, name: str, task: str, ids: Sequence[str]) -> Scorecard:
    """The manifest in lm-eval's results file, as a scorecard without numbers."""
    try:
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        config, metadata = results["configs"][task], results["configs"][task]["metadata"]
        manifest = TaskManifest(
            version=str(results["versions"][task]),
            n=len(ids),
            prompts_sha256=metadata.get("prompts_sha256", ""),
            decoding=json.dumps(config["generation_kwargs"]),
            chat_template=metadata.get("chat_template", ""),
            num_fewshot=int(config.get("num_fewshot") or 0),
        )
        run = results.get("config", {})
        versions = {"lm_eval": results.get("lm_eval_version"), "transformers": results.get("transformers_version")}
        model, engine = str(results.get("model_name", name)), str(results.get("model_source", ""))
        dtype = str(run.get("model_dtype", "")).removeprefix("torch.")
        told = {library: str(version) for library, version in versions.items() if version}
        return Scorecard(name, (), {task: ids}, {}, Manifest(model, engine, dtype, {task: manifest}, versions=told))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(path)!r} is no results file of lm-eval with {task}: {error}") from None
