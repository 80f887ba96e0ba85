"""`hp-bench judge`: grades kept completions with another judge, or measures a judge against the gold set."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hp_bench.commands.options import Json, print_json, warn

if TYPE_CHECKING:
    from hp_bench.judges.agreement import Agreement
    from hp_bench.judges.rejudge import Judged


def judge(
    samples: Annotated[
        list[Path] | None,
        typer.Argument(help="Samples files: of `hp-bench`, or of lm_eval --log_samples.", show_default=False),
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
    agreement: Annotated[
        str | None,
        typer.Option(help="Measure this judge against the gold set instead; options by --set.", metavar="JUDGE"),
    ] = None,
    gold: Annotated[
        Path | None, typer.Option(help="With --agreement: the gold set.", show_default="prompts/gold.jsonl")
    ] = None,
    split: Annotated[str, typer.Option(help="With --agreement: tuning or test.")] = "tuning",
    prompts: Annotated[
        Path | None, typer.Option(help="Prompt file, or folder with one, of another target.", show_default="ours")
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
    """Grades kept completions with another judge (verdicts, numbers, a scorecard), or measures a judge against the gold set.

    A run that was interrupted, or whose judge failed, goes on where it stopped: replies are cached by prompt, completion, judge and rubric.
    """
    if bool(samples) == bool(agreement):
        raise ValueError("give samples files to judge, or --agreement JUDGE, and not both")
    chosen, probes = _judge(agreement or by, option or [], prompts, lexicon, cache)
    if agreement:
        _agreement(chosen, gold, split, probes, as_json)
    else:
        _samples(chosen, samples or [], probes, out, as_json)


def _judge(
    kind: str, option: list[str], prompts: Path | None, lexicon: Path | None, cache: Path | None
) -> tuple[Any, list[Any]]:
    """The judge and the probes of its target."""
    from hp_bench.judges.registry import choose_judge, require_target
    from hp_bench.probes.paths import prompts_dir
    from hp_bench.probes.rows import load_probes
    from hp_bench.text.terms import Lexicon

    folder = prompts or prompts_dir()
    file = folder / "familiarity.jsonl" if folder.is_dir() else folder
    beside = file.parent / "lexicon.jsonl"
    metadata = {"judge": kind, **{f"judge_{name}": value for name, value in map(_option, option)}}
    if cache is not None:
        metadata["judge_cache"] = str(cache)
    if prompts is not None:
        metadata["prompts"] = str(prompts)
    require_target(metadata)
    terms = Lexicon.load(lexicon or (beside if beside.is_file() else prompts_dir() / "lexicon.jsonl"))
    return choose_judge(metadata, terms), list(load_probes(file))


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


def _samples(chosen: Any, files: list[Path], probes: list[Any], out: Path | None, as_json: bool) -> None:
    import re
    from dataclasses import asdict

    from hp_bench.judges.rejudge import rejudge, save

    folder = out or Path("judged") / re.sub(r"[^\w.-]+", "-", chosen.name)
    judged = []
    for file in files:
        judged.append(rejudge(file, chosen, probes))
        _require_some(chosen, judged[-1].verdicts, f"completion of {file}")
    save(judged, folder)
    if as_json:
        rows = [
            {
                "model": one.name,
                "task": one.task,
                "judge": one.judge,
                "measurements": [asdict(m) for m in one.measurements],
                "unscored": _reasons(one),
            }
            for one in judged
        ]
        print_json({"out": str(folder), "judged": rows})
    else:
        _print_judged(judged, folder)
    _finish(any(one.failed for one in judged))


def _require_some(judge: Any, verdicts: Sequence[Any], what: str) -> None:
    """Raises ValueError, with the first reason, if a judge could grade nothing."""
    if all(verdict.grade is None for verdict in verdicts):
        raise ValueError(f"judge {judge.name} graded no {what}: {verdicts[0].unscored}")


def _warn_of(reasons: Iterable[str], before: str = "") -> None:
    """The most common reasons why completions are unscored."""
    warn(*(f"{before}{count} unscored: {reason}" for reason, count in Counter(reasons).most_common(5)))


def _finish(failed: bool) -> None:
    if failed:
        warn("more than 1 % of the completions could not be scored: this run failed")
        raise typer.Exit(1)


def _reasons(judged: "Judged") -> dict[str, str]:
    """Why completions are unscored, by prompt."""
    pairs = zip(judged.samples, judged.verdicts, strict=True)
    return {sample.id: verdict.unscored for sample, verdict in pairs if verdict.grade is None}


def _print_judged(judged: "list[Judged]", folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from hp_bench.scoring.score import describe

    caption = f"95 % intervals in brackets; written to {folder}"
    table = Table("model", "task", "number", "value", caption=caption, caption_justify="left")
    for one in judged:
        for m in one.measurements:
            unscored = f", {m.unscored} unscored" if m.unscored else ""
            table.add_row(one.name, one.task, m.metric, describe(m) + unscored)
    console = Console()
    console.print(f"judge {judged[0].judge}", highlight=False)
    console.print(table)
    for one in judged:
        _warn_of(_reasons(one).values(), f"{one.name}, {one.task}: ")


def _agreement(chosen: Any, gold: Path | None, split: str, probes: list[Any], as_json: bool) -> None:
    from dataclasses import asdict

    from hp_bench.judges.agreement import agreement as measure
    from hp_bench.judges.agreement import as_probes, kappa, kappa_interval, load_gold
    from hp_bench.probes.paths import prompts_dir
    from hp_bench.probes.rows import load_probes
    from hp_bench.results.scorecard import UNSCORED_LIMIT

    if split not in ("tuning", "test"):
        raise ValueError(f"--split must be tuning or test, not {split!r}")
    rows = load_gold(gold or prompts_dir() / "gold.jsonl", split)  # type: ignore[arg-type]
    probes = [*probes, *load_probes(prompts_dir() / "familiarity-v1.jsonl")]  # which the gold set was written on
    items = [(probe, row.completion) for probe, row in zip(as_probes(rows, probes), rows, strict=True)]
    verdicts = chosen.grade(items)
    _require_some(chosen, verdicts, f"completion of {len(rows)}")
    measured = measure(
        chosen.name, [row.grade for row in rows], [verdict.grade for verdict in verdicts],
        ids=[row.id for row in rows], cases=[row.case for row in rows],
    )  # fmt: skip
    graders = [row.grades for row in rows if len(row.grades) == 2]
    between = None
    if graders:
        first, second = zip(*graders, strict=True)
        interval = kappa_interval(first, second)
        between = {"kappa": kappa(first, second), "low": interval.low, "high": interval.high, "n": len(graders)}
    if as_json:
        print_json({"split": split, **asdict(measured), "graders": between})
    else:
        _print_agreement(measured, split, between)
    _warn_of(verdict.unscored for verdict in verdicts if verdict.grade is None)
    _finish(measured.unscored > UNSCORED_LIMIT * measured.n)


def _print_agreement(found: "Agreement", split: str, between: dict[str, Any] | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from hp_bench.judges.agreement import SAID, Share

    def shown(share: Share) -> str:
        return "none" if share.value is None else f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"

    console = Console(highlight=False)
    kappa = f"{found.kappa:.3f} [{found.kappa_low:.3f}, {found.kappa_high:.3f}]"
    console.print(f"judge {found.judge}, {found.n} completions of the {split} half")
    console.print(f"Cohen's kappa {kappa}, agreement {shown(found.accuracy)}")
    if between:
        kappa = f"{between['kappa']:.3f} [{between['low']:.3f}, {between['high']:.3f}]"
        console.print(f"two people among themselves: kappa {kappa}")
    matrix = Table("gold", caption="completions; rows: gold, columns: judge", caption_justify="left")
    for word in SAID:
        matrix.add_column(word, justify="right")
    caption = f"95 % intervals; {found.method}"
    shares = Table("grade", "precision", "recall", caption=caption, caption_justify="left")
    for grade, row in found.confusion.items():
        matrix.add_row(grade, *(str(row[word]) for word in SAID))
        shares.add_row(grade, shown(found.precision[grade]), shown(found.recall[grade]))
    console.print(matrix)
    console.print(shares)
