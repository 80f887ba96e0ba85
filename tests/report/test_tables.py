"""What a person sees at 80 columns: no word, name or interval is cut or broken, and the first line answers."""

from dataclasses import replace

import pytest
from rich.text import Text
from typer.testing import CliRunner

from hp_bench.cli import app
from hp_bench.experiments.tuning import Candidate, Choices
from hp_bench.judges.agreement import agreement
from hp_bench.probes.paths import tasks_dir
from hp_bench.report import sections
from hp_bench.report.sections import headline
from hp_bench.report.story import Story
from hp_bench.report.tables import (
    agreement_tables,
    answer,
    curves_table,
    distances_table,
    model_tables,
    numbers_table,
    recoveries_table,
    table,
    wrapped,
)
from hp_bench.results.compare import Compared, broken, compare
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import ELSEWHERE, Difference, Manifest, Measurement, Scorecard, TaskManifest, measure
from hp_bench.results.statistics import familiarity_interval
from hp_bench.scoring.distances import Distance
from hp_bench.stress.recovery import Recovery
from unlearn.cli import app as unlearn_app

NAMES = ("Llama-3.2-1B-Instruct-unlearned-by-soft-labels/checkpoint-1200", "whp-soft/checkpoint-150", "b")
TASKS = sorted(path.stem for path in tasks_dir().glob("*.yaml"))
LONGEST = max((*TASKS, "hp_miniature_token_probability"), key=len)


def every_number(name, step=None):
    """A scorecard with every metric there is, their values as wide as they can be."""
    numbers = tuple(
        Measurement(LONGEST, metric, how.high - 0.001, how.low, how.high, 300, unscored=1)
        for metric, how in METRICS.items()
    )
    return Scorecard(name, numbers, {}, {}, Manifest("m", "hf", "float32", {}), step)


def change(metric):
    how = METRICS[metric]
    return Difference(LONGEST, metric, 0.0 - how.high, -how.high, how.high, 0.0001, 300, 3)


CARDS = [every_number(name, step) for name, step in zip(NAMES, (1200, 150, 0), strict=True)]
CHANGES = [Compared(name, change(metric), 0.0001) for name in NAMES[:2] for metric in METRICS]
RECOVERIES = [
    Recovery(stress, LONGEST, metric, 0.123, 0.456, change(metric), control, control, 0.0001, broken)
    for metric in METRICS for control in (change(metric),) for stress, broken in (("8-bit", ""), ("relearned-1000", "it is broken"))
]  # fmt: skip
DISTANCES = [Distance(name, text, 11.234, 0.1, 12.3, 0.1, 0.1) for name in NAMES for text in ("target", "rest")]
JUDGED = agreement("a judge of a long name", ["explicit", "none"] * 500, ["explicit", None] * 500)


@pytest.mark.parametrize(
    "shown",
    [
        *model_tables(CARDS, CHANGES, NAMES[2]),
        numbers_table(CARDS, CHANGES, title=NAMES[0]),
        numbers_table(CARDS, title="", numbers=[(LONGEST, metric) for metric in ("familiarity", "acc", "rest_loss")]),
        curves_table([Compared(f"{NAMES[1]} - {NAMES[1]}, step 1200", change(metric), 0.5) for metric in METRICS]),
        recoveries_table(RECOVERIES, NAMES[0]),
        distances_table(DISTANCES),
        Text("\n").join(Text(str(one)) for one in agreement_tables(JUDGED, "its own", shares=True)),
        Choices(
            Candidate("baseline", {}, 0, 5.0, 1.0, 0.1),
            (
                Candidate("gradient_difference", {"finetune.learning_rate": 1e-5, "finetune.retain_weight": 2.5}, 120, 0.1, 0.3, 0.1),
                Candidate("npo", {"finetune.learning_rate": 1e-5}, failure="the loss was no number at step 40, of 120 that were asked for"),
            ),
        ).table(),
    ],
)  # fmt: skip
def test_every_table_fits_80_columns(shown):
    assert "…" not in str(shown) and len(str(shown).splitlines()) > 4
    assert [line for line in str(shown).splitlines() if len(line) > 80] == []
    names = [name for name in NAMES if name in str(shown)]
    assert all(name in line for name in names for line in str(shown).splitlines() if name[:20] in line)


def test_a_name_without_room_has_a_line_of_its_own():
    shown = table(("model", "value"), {"a task": [("x" * 75, "0.100 [0.000, 0.200]"), ("short", "1")]}, title="T")
    assert str(shown) == (
        f"T\nmodel                 value\n\na task\n{'x' * 75}\n       0.100 [0.000, 0.200]\nshort                     1\n"
    )


def test_a_sentence_is_broken_between_words_and_never_inside_an_interval():
    sentence = f"{'word ' * 11}familiarity 0.21 [0.10, 0.38], and a-hyphenated-name-of-some-length too"
    lines = wrapped(sentence).split("\n")
    assert " ".join(lines) == sentence and len(lines) == 2 and max(map(len, lines)) <= 80
    assert lines[1].startswith("[0.10, 0.38], and a-hyphenated-name")


def card(name, grades):
    """A scorecard of one number; degenerate completions: none."""
    manifest = Manifest("m", "hf", "float32", {TASK: TaskManifest("1", len(grades))})
    ids, values = {TASK: [str(number) for number in range(len(grades))]}, {TASK: {"familiarity": grades}}
    return Scorecard(name, (measure(TASK, "familiarity", grades, degenerate=0),), ids, values, manifest)


TASK = "hp_familiarity"
BEFORE, SAME, AFTER = [5.0] * 20, [5.0] * 19 + [1.0], [0.0] * 18 + [5.0, 1.0]


def test_the_first_line_answers():
    before, after, same = card("before", BEFORE), card("after", AFTER), card("same", SAME)
    changes = compare(before, [after, same])
    assert answer(after) == "after: familiarity 0.30 [0.04, 1.25]"
    assert answer(after, before, changes) == "after: familiarity 0.30 [0.04, 1.25], lower than before's 5.00"
    assert answer(same, before, changes).endswith(", not clearly different from before's 5.00")
    assert answer(before, after, compare(after, [before])).endswith(", higher than after's 0.30")
    telling = (measure(TASK, "empty", [0.0] * 20), measure(TASK, "reference_hit", [1.0] * 5 + [0.0] * 15))
    assert answer(replace(after, measurements=telling)).startswith("after: reference_hit 0.250")
    assert answer(card("none", [None, None])) == "none: familiarity failed (2 unscored)"
    assert answer(card("few", [0.0] * 19 + [None])).endswith("; 1 of 20 prompts unscored")


@pytest.mark.parametrize(
    ("metric", "before", "told"),
    [
        ("familiarity", [5.0] * 10 + [0.0] * 90, "(familiarity 0.5)"),
        ("familiarity", [5.0] * 11 + [0.0] * 89, ""),
        ("choice_accuracy", [1.0] * 30 + [0.0] * 70, "(choice_accuracy 0.3, by chance 0.25)"),  # [.21, .40]
        ("choice_accuracy", [1.0] * 40 + [0.0] * 60, ""),  # [.30, .50]
        ("verbatim_probability", [0.01] * 100, "(verbatim_probability 0.01)"),
        ("verbatim_probability", [0.02] * 100, ""),
        ("bits_per_byte", [0.0] * 100, ""),
    ],
)
def test_a_baseline_that_never_knew_the_text_has_nothing_to_forget(metric, before, told):
    """`lower than baseline's 0.05`, and of a model that never read the book that says nothing."""

    def of(name, values):
        one = card(name, values)
        return replace(one, measurements=(measure(TASK, metric, values),), values={TASK: {metric: values}})

    baseline, after = of("baseline", before), of("after", [0.0] * 100)
    said = f"baseline hardly knows this text {told}: by this number there was little to forget"
    answered = answer(after, baseline, compare(baseline, [after]))
    assert answered.endswith(f". {said}") if told else "hardly knows" not in answered
    assert headline(Story("t", [], models=[after], baseline=baseline)) == [f"{said}."] * bool(told)
    taught = of("taught", [METRICS[metric].high] * 100)
    assert "hardly" not in answer(taught, baseline, compare(baseline, [taught])), "it is higher"


@pytest.mark.parametrize(
    "shared, value, verdict",
    [
        (2, "2.50", "too few to tell it from"),
        (5, "4.00", "too few to tell it from"),
        (6, "4.17", "not clearly different from"),
        (8, "4.38", "higher than"),
    ],
)
def test_what_is_compared_is_of_the_prompts_that_both_have_scored(shared, value, verdict):
    """`2.00 [0.96, 3.20], not clearly different from 0.18` stood there: of 20 prompts, of 60, and of two."""
    before, after = card("before", [5.0] * 40 + [0.0] * 20), card("after", [0.0] + [5.0] * (shared - 1) + [1.0] * 12)
    (before,), (after,) = (
        [replace(
            one, items={ELSEWHERE: ids}, values={ELSEWHERE: one.values[TASK]},
            measurements=(replace(one.measurements[0], task=ELSEWHERE),), manifest=replace(one.manifest, tasks={ELSEWHERE: TaskManifest("1", 1)}),
        )]
        for one, ids in ((before, [f"p{n}" for n in range(60)]), (after, [f"p{60 - shared + n}" for n in range(shared + 12)]))
    )  # fmt: skip
    changes = compare(before, [after])
    interval = familiarity_interval(shared - 1, 0, shared)
    value += f" [{interval.low:.2f}, {interval.high:.2f}]"
    assert answer(after, before, changes) == (
        f"after: familiarity {value} on the {shared} prompts scored in both, {verdict} before's 0.000"
    )
    shown = str(model_tables([before, after], changes, "before")[1])
    assert f"{shared + 12} prompts, {shared} scored in both" in shown and value in shown
    assert "0.000 [" not in shown.partition("+")[0]
    assert value in str(numbers_table([after], changes, title=""))
    (row,) = sections.table(Story("t", [], models=[after], baseline=before))
    assert (row.after, row.before[:7]) == (value, "0.000 [") and row.difference.endswith(f"] on {shared} prompts")


def test_a_broken_model_has_not_forgotten():
    before, loops = card("before", BEFORE), card("loops", AFTER)
    loops = replace(loops, measurements=tuple(replace(m, degenerate=15) for m in loops.measurements))
    said = answer(loops, before, compare(before, [loops]))
    assert said == (
        "loops: familiarity 0.30 [0.04, 1.25], no evidence of forgetting: 15 of 20 completions of hp_familiarity are degenerate (loops or noise), "
        "more than 10%"
    )


def test_empty_completions_are_counted():
    after = card("after", AFTER)
    after = replace(
        after, measurements=(*after.measurements, measure("hp_familiarity", "empty", [0.0] * 17 + [1.0] * 3))
    )
    assert answer(after).endswith("; 3 of 20 completions are empty")


@pytest.mark.parametrize(
    "refused, said", [(0, ""), (10, "; 10 of 20 completions are refusals"), (11, "m refuses: 11 of 20 ")]
)
def test_refusals_are_counted_and_where_most_are_the_model_shows_nothing(refused, said):
    after = card("m", AFTER)
    rate = measure("hp_familiarity", "refused", [1.0] * refused + [0.0] * (20 - refused))
    after = replace(after, measurements=(*after.measurements, rate))
    assert after.get("hp_familiarity", "familiarity").value == 0.3
    if refused <= 10:
        assert answer(after) == f"m: familiarity 0.30 [0.04, 1.25]{said}"
    else:
        assert "no evidence of forgetting: 11 of 20 completions of hp_familiarity are refusals" in answer(after)
        assert broken(after).startswith(said)


def test_colour_marks_what_is_amiss_and_nothing_else():
    sound, poor = (model_tables([card("m", values)])[0] for values in (BEFORE, [*BEFORE, None]))
    assert [str(span.style) for span in sound.spans if span.style != "bold"] == []
    assert [str(poor)[span.start : span.end] for span in poor.spans if span.style == "red"] == [", 1 unscored"]


@pytest.mark.parametrize("program", [app, unlearn_app], ids=["hp-bench", "unlearn"])
def test_the_help_of_every_command_fits_80_columns(program, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = [(command.name or command.callback.__name__) for command in program.registered_commands]
    for words in ([], *([name] for name in names)):
        shown = CliRunner().invoke(program, [*words, "--help"]).stdout
        assert "Usage" in shown and [line for line in shown.splitlines() if len(line) > 80] == []
        first = shown.split("\n\n")[1].strip()
        assert len(words) == 0 or (first.endswith(".") and len(first) <= 62), first
    assert "..." not in CliRunner().invoke(program, ["--help"]).stdout.replace("[ARGS]...", "")
