"""`hp-bench judge`: grades completions that are there already, or measures a judge against the gold set."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hp_bench.commands.options import Json, finish, show, warn

if TYPE_CHECKING:
    from hp_bench.judges.rejudge import Judged, Reading


def judge(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Completions: JSON lines, a JSON list, or CSV (.csv, .tsv), each row a prompt (or question, raw_question, input) and a "
            "completion (or response, output, generation, answer), at the top or one level down; samples of `hp-bench`, or of lm_eval "
            "--log_samples.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            "--judge",
            help="lexicon, endpoint, one of lm-eval's models (hf, vllm, ...), or package.module:object.",
            metavar="JUDGE",
        ),
    ] = "lexicon",
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            help="Option of the judge, e.g. model=NAME, base_url=http://localhost:8000/v1, pretrained=MODEL, target=WORDS.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            help="Where the files have it under another name: prompt=NAME, completion=NAME, references=NAME, grade=NAME; "
            "dotted if it is further down (completion=choices.0.text).",
            metavar="WHAT=NAME",
        ),
    ] = None,
    cut: Annotated[
        bool,
        typer.Option(
            "--cut",
            help="End each completion at the first blank line after a word, as the tasks do; otherwise it is judged as it stands, "
            "since its decoding was yours.",
        ),
    ] = False,
    scale: Annotated[
        str,
        typer.Option(
            help="Of the files' own grades, where their numbers do not say it: 0-3 (3 is explicit, 2 thematic, 1 accidental) or "
            "0-5 (5 is explicit, 1 thematic).",
            show_default=False,
        ),
    ] = "",
    agreement: Annotated[
        str | None,
        typer.Option(help="Measure this judge against the gold set instead; options by --set.", metavar="JUDGE"),
    ] = None,
    gold: Annotated[
        Path | None, typer.Option(help="With --agreement: the gold set.", show_default="prompts/gold.jsonl")
    ] = None,
    split: Annotated[str, typer.Option(help="With --agreement: tuning or test.")] = "tuning",
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Prompt file, or folder with one: the references of the prompts that it has. Others have their own, or none.",
            show_default="ours",
        ),
    ] = None,
    lexicon: Annotated[
        Path | None, typer.Option(help="Lexicon of another target.", show_default="beside the prompts, else ours")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="File of replies; none: nothing is kept.", show_default="in the user's cache folder"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for verdicts and scorecards.", show_default="judged/JUDGE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Grades completions that are there already (verdicts, a scorecard a file), or measures a judge against the gold set.

    A row that cannot be graded is unscored, with its reason, and costs no other. Scorecards of two files compare, paired by prompt.
    Grades that a file has already (model_grade, grade) are set against the judge's.

    A run that was interrupted, or whose judge failed, goes on where it stopped: replies are cached by prompt, completion, judge and rubric.
    """
    from hp_bench.judges.registry import judge_afterwards

    if bool(files) == bool(agreement):
        raise ValueError("give files of completions to judge, or --agreement JUDGE, and not both")
    options = dict(_option(one) for one in option or ()) | ({} if cache is None else {"cache": str(cache)})
    chosen, probes = judge_afterwards(agreement or by, options, prompts=prompts, lexicon=lexicon)
    if agreement:
        _agreement(chosen, gold, split, probes, as_json)
        return
    from hp_bench.judges.rejudge import Reading

    reading = Reading(probes, dict(_field(one) for one in field or ()), cut, scale)
    _completions(chosen, files or [], reading, out, as_json)


def _option(text: str) -> tuple[str, Any]:
    import json

    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise ValueError(f"--set {text!r} is not NAME=VALUE")
    try:
        read = json.loads(value)
    except ValueError:
        return name, {"True": True, "False": False}.get(value, value)
    return name, read if isinstance(read, bool | int | float) else value


def _field(text: str) -> tuple[str, str]:
    from hp_bench.judges.completions import NAMES

    what, _, name = text.partition("=")
    if what not in NAMES or not name:
        raise ValueError(f"--field {text!r} is not WHAT=NAME, WHAT being {', '.join(NAMES)}")
    return what, name


def _completions(chosen: Any, files: list[Path], reading: "Reading", out: Path | None, as_json: bool) -> None:
    import re
    from dataclasses import asdict

    from hp_bench.judges.rejudge import rejudge_all, save
    from hp_bench.results.scorecard import failures

    folder = out or Path("judged") / re.sub(r"[^\w.-]+", "-", chosen.name)
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
        }
        for one in judged
    ]
    show(as_json, {"out": str(folder), "judged": rows}, *_tables(chosen.name, judged))
    for one in judged:
        warn(f"{one.card.name}, {one.task}: {'; '.join(one.said)}")
        _warn_of({f"{reason} ({_listed(places)})": len(places) for reason, places in one.unscored().items()})
    warn(f"verdicts and scorecards are in {folder}")
    finish(failures([one.card for one in judged]))


def _listed(places: list[str]) -> str:
    return ", ".join(places[:3]) + ", ..." * (len(places) > 3)


def _warn_of(reasons: dict[str, int]) -> None:
    """The most common reasons why completions are unscored."""
    warn(*(f"{count} unscored: {reason}" for reason, count in Counter(reasons).most_common(5)))


def _tables(judge_name: str, judged: "list[Judged]") -> Iterator[Any]:
    from hp_bench.report.tables import agreement_tables, answer, model_tables

    cards = [one.card for one in judged]
    yield from (*map(answer, cards), f"judge {judge_name}\n", *model_tables(cards))
    for one in judged:
        if one.own:
            yield f"{one.card.name}: the judge against the file's own grades of {one.own.n} completions"
            yield from agreement_tables(one.own, "its own", shares=False)


def _agreement(chosen: Any, gold: Path | None, split: str, probes: list[Any], as_json: bool) -> None:
    from dataclasses import asdict

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
        f"two people among themselves: {kappa}" * bool(kappa),
        *agreement_tables(measured, "gold", shares=True),
    )
    _warn_of(Counter(verdict.unscored for verdict in verdicts if verdict.grade is None))
    few = measured.unscored <= UNSCORED_LIMIT * measured.n
    finish([] if few else ["more than 1 % of the completions could not be scored: this run failed"])
