"""`hp-bench judge`: grades completions that are there already, or measures a judge against the gold set."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from hp_bench.commands.options import Json, finish, pairs, show, warn

if TYPE_CHECKING:
    from hp_bench.judges.rejudge import Judged, Reading


def judge(
    files: Annotated[list[Path] | None, Argument(show_default=False)] = None,
    *,
    by: Annotated[str, Option("--judge", metavar="JUDGE")] = "lexicon",
    option: Annotated[list[str] | None, Option("--set", "-s", metavar="NAME=VALUE")] = None,
    field: Annotated[list[str] | None, Option(metavar="WHAT=NAME")] = None,
    cut: bool = False,
    scale: Annotated[str, Option(show_default=False)] = "",
    agreement: Annotated[str | None, Option(metavar="JUDGE")] = None,
    gold: Annotated[Path | None, Option(show_default="prompts/gold.jsonl")] = None,
    split: str = "tuning",
    prompts: Annotated[Path | None, Option(show_default="ours")] = None,
    lexicon: Annotated[Path | None, Option(show_default="the one beside the prompts, or else ours")] = None,
    cache: Annotated[Path | None, Option(show_default="in the user's cache folder")] = None,
    out: Annotated[Path | None, Option(show_default="judged/JUDGE")] = None,
    as_json: Json = False,
) -> None:
    """Grades completions that you already have.

    Writes verdicts and a scorecard for each file. A row that cannot be graded is counted as unscored, with its reason. `hp-bench compare`
    compares the scorecards of two files. If a file has grades of its own (model_grade, grade), the judge is compared with them.

    Replies of a language model are cached. After an interruption, the same command continues where it stopped.

    With --agreement, no file is graded: the judge is measured against the gold set, completions that were graded by hand.

    Args:
        files: Files of completions: JSON lines, a JSON list, or CSV (.csv, .tsv). Each row holds a prompt (or question, raw_question,
            input) and a completion (or response, output, generation, answer), at the top or one level down. Samples of `hp-bench` and of
            lm_eval --log_samples are such files.
        by: Judge: lexicon, endpoint, a model type of lm-eval (hf, vllm, ...), or package.module:object.
        option: Setting of the judge, such as model=NAME, base_url=http://localhost:8000/v1, pretrained=MODEL or target=WORDS. Repeatable.
        field: Name of a field, if the files use another: prompt=NAME, completion=NAME, references=NAME or grade=NAME. A nested field has
            dots in its name: completion=choices.0.text. Repeatable.
        cut: Cut each completion at the first blank line after a word, as the tasks do. Without this, the whole completion is judged.
        scale: Scale of the grades in the files: 0-3 (3 explicit, 2 thematic, 1 accidental) or 0-5 (5 explicit, 1 thematic). Needed only if
            the numbers fit both.
        agreement: Measure this judge against the gold set instead of judging files. Its settings are given with --set.
        gold: With --agreement: file of the gold set.
        split: With --agreement: half of the gold set, tuning or test.
        prompts: Prompt file, or folder that holds one. It gives the references of its prompts. Other prompts use those in the files, if
            any.
        lexicon: Lexicon of the target.
        cache: File for cached replies. The word none turns the cache off.
        out: Folder for verdicts and scorecards.
    """
    from hp_bench.judges.registry import judge_afterwards

    if bool(files) == bool(agreement):
        raise ValueError("give files of completions to judge, or --agreement JUDGE, and not both")
    options = pairs(option, "--set", "NAME=VALUE") | ({} if cache is None else {"cache": str(cache)})
    chosen, probes = judge_afterwards(agreement or by, options, prompts=prompts, lexicon=lexicon)
    if agreement:
        _agreement(chosen, gold, split, probes, as_json)
        return
    from hp_bench.judges.rejudge import Reading

    source = "hp_familiarity" if prompts is None else str(prompts)
    reading = Reading(probes, dict(_field(one) for one in field or ()), cut, scale, source)
    _completions(chosen, files or [], reading, out, as_json)


def _field(text: str) -> tuple[str, str]:
    from hp_bench.judges.completions import NAMES

    what, _, name = text.partition("=")
    if what not in NAMES or not name:
        raise ValueError(f"--field {text!r} is not WHAT=NAME, WHAT being {', '.join(NAMES)}")
    return what, name


def _completions(chosen: Any, files: list[Path], reading: "Reading", out: Path | None, as_json: bool) -> None:
    from hp_bench.judges.rejudge import rejudge_all, save
    from hp_bench.results.scorecard import UNSCORED_LIMIT, failures
    from unlearn.files import require_writable

    folder = out or Path("judged") / re.sub(r"[^\w.-]+", "-", chosen.name)
    require_writable(folder)
    judged = rejudge_all(files, chosen, reading)
    save(judged, folder)
    rows = [
        {
            "model": one.card.name,
            "task": one.task,
            "judge": chosen.name,
            "measurements": [asdict(m) for m in one.card.measurements],
            "unscored": one.unscored(),
            "own_grades": asdict(one.own) if one.own else None,
            "read": one.said,
            "told": one.told,
            "counts": one.counts,
        }
        for one in judged
    ]
    show(as_json, {"out": str(folder), "judged": rows}, *_tables(chosen.name, judged))
    for one in judged:
        warn(f"{one.card.name}, {one.task}: {'; '.join(one.said)}")
        lines = {reason: ", ".join(at[:3]) + ", ..." * (len(at) > 3) for reason, at in one.unscored().items()}
        _warn_of({f"{reason} ({lines[reason]})": len(places) for reason, places in one.unscored().items()})
    warn(f"verdicts and scorecards are in {folder}")
    said = failures([one.card for one in judged])
    for one in judged:  # a prompt of several completions is scored if one of them is
        lost = sum(map(len, one.unscored().values()))
        if lost > UNSCORED_LIMIT * len(one.samples) and not one.card.failed:
            said.append(f"{one.card.name}: {lost} of {len(one.samples)} completions could not be scored")
    finish(said)


def _warn_of(reasons: dict[str, int]) -> None:
    """The most common reasons why completions are unscored."""
    warn(*(f"{count} unscored: {reason}" for reason, count in Counter(reasons).most_common(5)))


def _tables(judge_name: str, judged: "list[Judged]") -> Iterator[Any]:
    from hp_bench.report.tables import agreement_tables, answer, model_tables
    from hp_bench.text.counted import counted

    cards = [one.card for one in judged]
    for one in judged:
        yield from (answer(one.card), " ".join(one.told))
    yield from (f"judge {judge_name}", "\n", *model_tables(cards))
    for one in judged:
        if one.own:
            yield counted(f"{one.card.name}: the judge against the file's own grades of {{}} completion[|s]", one.own.n)
            yield from agreement_tables(one.own, "its own", shares=False)


def _agreement(chosen: Any, gold: Path | None, split: str, probes: list[Any], as_json: bool) -> None:
    from hp_bench.judges.agreement import against_gold, graders, load_gold
    from hp_bench.probes.paths import prompts_dir
    from hp_bench.probes.rows import load_probes
    from hp_bench.report.tables import agreement_tables
    from hp_bench.results.scorecard import UNSCORED_LIMIT

    if split not in ("tuning", "test"):
        raise ValueError(f"--split must be tuning or test, not {split!r}")
    rows = load_gold(gold or prompts_dir() / "gold.jsonl", split)  # type: ignore[arg-type]
    written_on = load_probes(prompts_dir() / "familiarity-v1.jsonl")
    measured, verdicts = against_gold(chosen, rows, [*probes, *written_on])
    between = graders(rows)
    content = {"split": split, **asdict(measured), "graders": asdict(between) if between else None}
    kappa = f"kappa {between.kappa:.3f} [{between.low:.3f}, {between.high:.3f}]" if between else ""
    show(
        as_json,
        content,
        f"judge {measured.judge}, {measured.n} completions of the {split} half",
        f"two graders among themselves: {kappa}" * bool(kappa),
        *agreement_tables(measured, "gold", shares=True),
    )
    _warn_of(Counter(verdict.unscored for verdict in verdicts if verdict.grade is None))
    few = measured.unscored <= UNSCORED_LIMIT * measured.n
    finish([] if few else ["more than 1 % of the completions could not be scored: this run failed"])
