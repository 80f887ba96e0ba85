"""Completions made elsewhere: every usual form is read, a row that cannot be graded is unscored and costs no other, two files pair."""

import csv
import hashlib
import json
import math
from dataclasses import asdict

import pytest

from hp_bench.judges.agreement import read_grades
from hp_bench.judges.completions import NAMES, read_samples
from hp_bench.judges.grades import LOST, Verdict
from hp_bench.judges.lexicon import LexiconJudge
from hp_bench.judges.rejudge import Reading, as_completions, rejudge, rejudge_all, save
from hp_bench.probes.rows import Probe
from hp_bench.results.compare import compare, incomparable
from hp_bench.results.scorecard import ELSEWHERE, Manifest, Scorecard, TaskManifest, measure
from hp_bench.text.terms import Lexicon, Term

JUDGE = LexiconJudge(Lexicon([Term("Nora Quill", "person", "idiosyncratic"), Term("detective", "theme", "thematic")]))
SAID = [" Nora Quill, of course.", " a detective from the city.", " a man with a lamp.", " Nora Quill again."]
PROMPTS = [f"The keeper of lamp number {n} was" for n in range(len(SAID))]
PAIRS = list(zip(PROMPTS, SAID, strict=True))
FAMILIARITY = (5 + 1 + 0 + 5) / 4


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def graded(path, *, prompts=(), **reading):
    return rejudge(path, JUDGE, Reading(prompts, **reading), name=path.stem)


def familiarity(judged):
    m = judged.card.get(ELSEWHERE, "familiarity")
    return m.value, m.n, m.unscored


def table(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    "completion", ["completion", "response", "output", "generation", "answer", "responses", "resps"]
)
@pytest.mark.parametrize("prompt", ["prompt", "raw_question", "question", "input"])
def test_every_usual_name_is_read_at_the_top_and_one_level_down(tmp_path, prompt, completion):
    assert prompt in NAMES["prompt"] and completion in NAMES["completion"]
    forms = (
        [{prompt: p, completion: c} for p, c in PAIRS],
        [{"n": n, "row": {prompt: p, completion: c}} for n, (p, c) in enumerate(PAIRS)],
        [{"asked": {prompt: p}, "said": {completion: [[c]]}} for p, c in PAIRS],
        [{prompt: {prompt: p, "references": []}, completion: {completion: c}} for p, c in PAIRS],
    )
    for number, rows in enumerate(forms):
        judged = graded(lines(tmp_path / f"{number}.jsonl", rows))
        assert [(s.prompt, s.completion) for s in judged.samples] == PAIRS
        assert familiarity(judged) == (FAMILIARITY, 4, 0)
        assert {m.metric for m in judged.card.measurements} == {
            "familiarity",
            "explicit",
            "thematic",
            "empty",
            "degenerate",
            "refused",
        }


def test_the_authors_prompts_with_completions_and_their_graded_files_are_read(tmp_path):
    prompts = [
        {"prompt": {"prompt": p + " ", "references": ["Nora Quill", "lamp"], "subtlety": 3}, "completion": c} for p, c in PAIRS
    ]  # fmt: skip
    answered = [
        {"raw_question": p + " ", "completion": {"question": f"[INST] {p} [/INST]", "response": c, "references": ["Nora Quill", "lamp"]}}
        for p, c in PAIRS
    ]  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(prompts))
    for path in (tmp_path / "a.json", lines(tmp_path / "b.jsonl", answered)):
        judged = graded(path)
        assert familiarity(judged) == (FAMILIARITY, 4, 0)
        assert judged.card.get(ELSEWHERE, "named").value == 0.5
        assert "4 references that stand in their prompt dropped" in judged.said
    assert judged.said[0] == "prompts from raw_question, completions from completion.response"
    (change,) = [c for c in compare(graded(tmp_path / "a.json").card, [judged.card]) if c.difference.metric == "named"]
    assert (change.difference.n, change.difference.unpaired, change.difference.value) == (4, 0, 0)


def test_samples_of_lm_eval_without_their_results_file_are_completions_made_elsewhere(tmp_path):
    rows = [
        {"doc_id": n, "doc": {"id": f"q{n}", "prompt": p, "references": ["Nora Quill"], "topic": "lamps", "answer": "no completion"},
         "arguments": {"gen_args_0": {"arg_0": p}}, "resps": [[c]], "filtered_resps": ["{}"], "familiarity": 0.0}
        for n, (p, c) in enumerate(PAIRS)
    ]  # fmt: skip
    judged = graded(lines(tmp_path / "samples_hp_familiarity_2026-01-01T00-00-00.jsonl", rows))
    assert familiarity(judged) == (FAMILIARITY, 4, 0)
    assert [s.slices for s in judged.samples] == [{"topic": "lamps"}] * 4


def test_csv_with_quotation_marks_line_breaks_and_references_is_read(tmp_path):
    said = [c.replace(" of", '\n\n"of"').replace("man", "man, tall;") for c in SAID]
    rows = [
        {"id": n, "question": p, "response": c, "references": "['Nora Quill', 'Port Ansel']" if n else "Nora Quill"}
        for n, (p, c) in enumerate(zip(PROMPTS, said, strict=True))
    ]
    judged = graded(table(tmp_path / "rows.csv", rows))
    assert [s.completion for s in judged.samples] == said
    assert [s.references for s in judged.samples] == [("Nora Quill",), *[("Nora Quill", "Port Ansel")] * 3]
    assert familiarity(judged) == (FAMILIARITY, 4, 0)


BROKEN = {
    "a blank line": ("", ""),
    "a line that is cut off": ('{"prompt": "The lamp is", "compl', "not a JSON object"),
    "a bare text": ('"The lamp is"', "not a JSON object"),
    "no completion": ('{"prompt": "The lamp is", "text": "x"}', "no completion; --field completion=NAME names it; there are prompt, text"),
    "a completion of null": ('{"prompt": "The lamp is", "completion": null}', LOST.unscored),
    "a completion that is a number": ('{"prompt": "The lamp is", "completion": 7}', "its completion is no text"),
    "no completion in a list": ('{"prompt": "The lamp is", "completion": []}', "its completion is a list; --field completion=NAME.0.content"),
    "no prompt": ('{"completion": "x"}', "no prompt; --field prompt=NAME names it; there are completion"),
    "an empty prompt": ('{"prompt": " ", "completion": "x"}', "its prompt is empty"),
    "a prompt that is a conversation": ('{"prompt": [{"role": "user"}, {}], "completion": "x"}', "its prompt is a list; --field prompt=NAME.0.content"),
    "bytes that are not UTF-8": ('{"prompt": "The lamp is", "completion": "caf\udce9"}', "not UTF-8 text"),
    "an empty object": ("{}", "there are no fields"),
}  # fmt: skip


@pytest.mark.parametrize("line, reason", BROKEN.values(), ids=BROKEN.keys())
def test_a_row_that_cannot_be_graded_is_unscored_with_its_reason_and_costs_no_other(tmp_path, line, reason):
    rows = [json.dumps({"prompt": p, "completion": c}) for p, c in PAIRS]
    path = tmp_path / "rows.jsonl"
    path.write_bytes("\n".join([*rows[:2], line, *rows[2:]]).encode("utf-8", "surrogateescape"))
    judged = graded(path)
    assert familiarity(judged) == (FAMILIARITY, 4, 1 if reason else 0)
    if reason:
        ((said, places),) = judged.unscored().items()
        assert reason in said and places == ["line 3"]
        assert judged.card.failed and judged.card.values[ELSEWHERE]["explicit"].count(None) == 1
    else:
        assert "1 blank line passed over" in judged.said
    save([judged], tmp_path / "out")
    assert Scorecard.load(tmp_path / "out" / "scorecards" / "rows.json") == judged.card
    again = graded(tmp_path / "out" / "samples" / "rows" / f"{ELSEWHERE}.jsonl")
    assert again.card == judged.card


@pytest.mark.parametrize("line, reason", [one for one in BROKEN.values() if one[1]])
def test_a_file_in_which_no_row_can_be_read_is_refused_in_one_sentence(tmp_path, line, reason):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(f"{line}\n{line}\n".encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError) as caught:
        graded(path)
    assert str(path) in str(caught.value) and reason in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_file_is_refused(tmp_path):
    for content in ("", "\n \n", "[]"):
        (tmp_path / "rows.jsonl").write_text(content)
        with pytest.raises(ValueError, match="rows.jsonl' holds no completions$"):
            read_samples(tmp_path / "rows.jsonl")


def test_half_a_character_at_the_end_of_a_completion_is_no_reason_to_lose_it(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "The lamp is", "completion": "lit \\ud83d"}')
    judged = graded(path)
    assert judged.samples[0].completion == "lit \ufffd"
    save([judged], tmp_path / "out")


def test_other_names_are_told_by_dotted_path(tmp_path):
    rows = [
        {"messages": [{"content": p}], "choices": [{"text": c}], "the.notes": {"truth": ["Nora Quill"]}}
        for p, c in PAIRS
    ]
    names = {"prompt": "messages.0.content", "completion": "choices.0.text", "references": "the.notes"}
    path = lines(tmp_path / "rows.jsonl", rows)
    assert familiarity(graded(path, names=names)) == (FAMILIARITY, 4, 0)
    with pytest.raises(ValueError, match=r"nothing is called choices.1.text; there are messages, choices, the.notes"):
        graded(path, names={**names, "completion": "choices.1.text"})


def test_references_are_the_prompt_files_else_the_rows_own_else_none(tmp_path):
    rows = [
        {"prompt": PROMPTS[0] + "\n", "completion": " the old Ben Ames.", "references": ["Ada"]},
        {"prompt": PROMPTS[1], "completion": " the old Ada Ames.", "references": ["Ada"]},
        {"prompt": PROMPTS[2], "completion": " the old Ben Ames."},
    ]
    probe = Probe("p0", PROMPTS[0], ("Ben",), "partial", 2, "x")
    judged = graded(lines(tmp_path / "rows.jsonl", rows), prompts=[probe])
    assert [verdict.grade for verdict in judged.verdicts] == ["explicit", "explicit", "none"]
    assert judged.card.values[ELSEWHERE]["named"] == [1, 1, None]
    named = judged.card.get(ELSEWHERE, "named")
    assert (named.value, named.n, named.unscored) == (1, 2, 0)
    assert judged.counts["no_reference"] == 1 and "No answer is known to 1 prompt, which is not in" in judged.told[1]
    assert not judged.card.failed
    save([judged], tmp_path / "out")
    kept = tmp_path / "out" / "samples" / "rows" / f"{ELSEWHERE}.jsonl"
    assert graded(kept).card == judged.card
    assert graded(kept, prompts=[Probe("p0", PROMPTS[0], ("Ada",), "partial", 2, "x")]).card.items != judged.card.items


KNOWN = [Probe(f"p{n}", p, ("Ben", "Ames"), "partial", 2, "x", fame=n + 1) for n, p in enumerate(PROMPTS)]
PLAIN = [{"prompt": p, "completion": c} for p, c in PAIRS]


@pytest.mark.parametrize(
    "form",
    [
        lambda n, p: {"prompt": p}, lambda n, p: {"id": f"p{n}"}, lambda n, p: {"prompt": f"Continue the text.\n\n{p} "},
        lambda n, p: {"prompt": f"[INST] {PROMPTS[-1]} out.\n{p} [/INST]"}, lambda n, p: {"prompt": f"{p}\n\nAnswer:"},
    ],
    ids=["as it is", "by its id", "after a line", "between markers, after an example", "before a line"],
)  # fmt: skip
def test_a_prompt_of_the_file_is_known_by_its_id_and_within_an_instruction(tmp_path, form):
    rows = [{**form(n, p), "completion": c} for n, (p, c) in enumerate(PAIRS)][:3]
    judged = graded(lines(tmp_path / "rows.jsonl", rows), prompts=KNOWN, source="lamps")
    plain = graded(lines(tmp_path / "plain.jsonl", PLAIN[:3]), prompts=KNOWN)
    assert judged.card.items == plain.card.items and judged.card.values == plain.card.values
    assert judged.card.values[ELSEWHERE]["explicit_fame_1"] == [1, None, None]
    assert "explicit_fame_4" not in judged.card.values[ELSEWHERE]
    assert (judged.counts["known"], judged.counts["of"], judged.counts["no_reference"]) == (3, 4, 0)
    assert judged.told[0] == "It was asked 3 of the 4 prompts of lamps."


def test_a_longer_prompt_is_another_one_and_what_an_instruction_tells_is_no_leak(tmp_path):
    rows = [{"prompt": PROMPTS[0] + " called", "completion": "x"}, {"prompt": "x" + PROMPTS[1], "completion": "x"}]
    judged = graded(lines(tmp_path / "rows.jsonl", rows), prompts=KNOWN)
    assert judged.counts["known"] == 0 and judged.counts["no_reference"] == 2
    assert judged.told[0] == (
        "No answer is known to 2 prompts, which are not in the prompt file: the lexicon alone judges them, which lowers familiarity, and "
        "`named` leaves them out."
    )
    told = [{"prompt": f"A story of Nora Quill.\n\n{PROMPTS[0]}", "completion": SAID[0]}]
    (verdict,) = graded(lines(tmp_path / "told.jsonl", told), prompts=KNOWN).verdicts
    assert verdict.grade == "none"


def test_a_judged_file_compares_with_a_scorecard_of_the_same_prompts(tmp_path):
    prompts = tmp_path / "prompts.jsonl"
    lines(prompts, [asdict(one) for one in KNOWN])
    digest = hashlib.sha256(prompts.read_bytes()).hexdigest()
    ids, values = [one.id for one in KNOWN[1:]], [0.0, 5.0, 5.0]  # a quick score: some of the prompts
    task = TaskManifest("3", 3, digest, judge=JUDGE.name, decoding='{"until": []}', prompts_changed="quick")
    scored = Scorecard(
        "m", (measure("hp_familiarity", "familiarity", values),), {"hp_familiarity": ids, "other": ["o"]},
        {"hp_familiarity": {"familiarity": values}, "other": {"acc": [1.0]}},
        Manifest("m", "hf", "float32", {"hp_familiarity": task, "other": TaskManifest("1", 1)}),
    )  # fmt: skip
    card = as_completions(scored, "hp_familiarity", prompts)
    judged = graded(lines(tmp_path / "rows.jsonl", PLAIN), prompts=KNOWN, cut=True).card
    (change,) = compare(card, [judged])
    # Its prompts 1 to 3: 1, 0 and 5 in place of 0, 5 and 5; of prompt 0 nothing is said.
    assert (change.difference.n, change.difference.value) == (3, pytest.approx(-4 / 3))
    assert [m.value for m in change.of_pairs] == [2, pytest.approx(10 / 3)]
    whole = graded(tmp_path / "rows.jsonl", prompts=KNOWN).card
    assert incomparable(card, whole) == [
        "completions: one is cut at the first blank line, as the tasks do, and the other is not: judge both with --cut"
    ]
    lines(prompts, [asdict(one) for one in KNOWN[1:]])
    assert as_completions(scored, "hp_familiarity", prompts) is scored
    (reason,) = incomparable(scored, judged)
    assert reason.startswith(
        "no task in common: hp_familiarity, other against completions; a file of completions compares with"
    )


def test_a_completion_ends_at_a_blank_line_only_if_that_is_asked_for(tmp_path):
    path = lines(tmp_path / "rows.jsonl", [{"prompt": PROMPTS[0], "completion": " a man.\n\nNora Quill came in."}])
    whole, cut = graded(path), graded(path, cut=True)
    assert (familiarity(whole)[0], familiarity(cut)[0]) == (5, 0)
    assert cut.samples[0].completion == " a man."
    assert cut.told[-1] == "Completions are cut at their first blank line, as by the tasks: 1 of 1 was longer."
    assert whole.told[-1] == "Completions are judged whole; --cut would end 1 of 1 at a blank line, as the tasks do."
    save([cut], tmp_path / "out")
    again = graded(tmp_path / "out/samples/rows/completions.jsonl", cut=True)
    assert again.card == cut.card and again.told[-1].startswith("Completions are cut")
    assert any("judge both with --cut" in reason for reason in incomparable(whole.card, cut.card))


@pytest.mark.parametrize("at_once", [True, False])
def test_every_completion_of_a_prompt_counts_and_every_prompt_the_same(tmp_path, at_once):
    """The first one alone did: 1 and 0 here, in place of 2 and 0."""
    few = {PROMPTS[0]: SAID[1:], PROMPTS[1]: [SAID[2], None]}
    rows = [
        {"prompt": prompt + " " * n, "completion": said}
        for prompt, all_said in few.items()
        for n, said in enumerate([all_said] if at_once else all_said)
    ]
    path = lines(tmp_path / "rows.jsonl", rows)
    judged = graded(path)
    assert [s.completion for s in judged.samples] == [*SAID[1:], SAID[2], None]
    assert judged.card.values[ELSEWHERE]["familiarity"] == [(1 + 0 + 5) / 3, 0]
    assert judged.card.values[ELSEWHERE]["explicit"] == [1 / 3, 0]
    found = judged.card.get(ELSEWHERE, "familiarity")
    assert (found.value, found.n, found.unscored) == (1, 2, 0) and found.low < 1 < found.high
    assert judged.unscored() == {LOST.unscored: [judged.samples[-1].place]}
    assert "5 completions of 2 prompts: each number is the mean of a prompt's completions first" in judged.said
    assert judged.counts["no_reference"] == 2
    alone = graded(lines(tmp_path / "other.jsonl", [{"prompt": p, "completion": " Nora Quill"} for p in few]))
    (change,) = [one.difference for one in compare(judged.card, [alone.card]) if one.difference.metric == "familiarity"]
    assert (change.n, change.value) == (2, 4)
    save([judged], tmp_path / "judged")
    again = graded(tmp_path / "judged/samples/rows/completions.jsonl")
    assert again.card.values == judged.card.values and again.card.items == judged.card.items


def test_completions_that_begin_with_their_prompt_are_judged_without_it(tmp_path):
    """As text-generation pipelines return them: of 28 degenerate ones 18 were no longer found to be."""
    loop = " and so on" * 6
    rows = [{"prompt": p + " ", "completion": p + c} for p, c in zip(PROMPTS, [*SAID[:3], loop], strict=True)]
    judged = graded(lines(tmp_path / "rows.jsonl", rows))
    assert [s.completion for s in judged.samples] == [*SAID[:3], loop]
    assert "4 completions begin with their prompt, which is left out" in judged.said
    assert judged.card.values[ELSEWHERE]["degenerate"] == [0, 0, 0, 1]
    within = [
        {**row, "prompt": f"Go on.\n\n{row['prompt']}"} for row in rows
    ]  # cut at the instruction's blank line, nothing was left
    judged = graded(lines(tmp_path / "within.jsonl", within), prompts=KNOWN, cut=True)
    assert [s.completion for s in judged.samples] == [*SAID[:3], loop]
    rows[:2] = [{"prompt": p, "completion": c} for p, c in PAIRS[:2]]
    assert graded(lines(tmp_path / "half.jsonl", rows)).samples[2].completion == rows[2]["completion"]


def test_a_runs_samples_with_several_completions_a_prompt_can_be_judged(tmp_path):
    """They were refused: "16 completions in one row, which must hold one"."""
    card = graded(lines(tmp_path / "a.jsonl", [{"prompt": PROMPTS[0], "completion": "x"}])).card
    card.save(tmp_path / "scorecards/m.json")
    path = tmp_path / "samples/m/leak.jsonl"
    path.parent.mkdir(parents=True)
    lines(path, [{"id": "q", "prompt": PROMPTS[0], "responses": SAID}])
    assert familiarity(graded(path)) == (FAMILIARITY, 1, 0)


def test_two_files_are_paired_by_prompt_whatever_their_order_and_gaps(tmp_path):
    before = lines(tmp_path / "before.jsonl", [{"prompt": p, "completion": c} for p, c in PAIRS])
    after = [{"input": p + " ", "output": " a man."} for p in reversed(PROMPTS)]
    after[0]["output"] = SAID[3]
    table(tmp_path / "after.csv", [{"input": "Something else was", "output": "Nora Quill"}, *after[:3]])
    a, b = (one.card for one in rejudge_all([before, tmp_path / "after.csv"], JUDGE, Reading([])))
    assert (a.name, b.name) == ("before", "after")
    (change,) = [one.difference for one in compare(a, [b]) if one.difference.metric == "familiarity"]
    # Three prompts in common: 1 -> 0, 0 -> 0, 5 -> 5; two are in one file alone.
    assert (change.n, change.unpaired) == (3, 2)
    assert change.value == pytest.approx(-1 / 3)


def test_files_without_a_common_prompt_or_common_references_do_not_compare(tmp_path):
    rows = [{"prompt": p, "completion": c} for p, c in PAIRS]
    a = graded(lines(tmp_path / "a.jsonl", rows)).card
    other = graded(lines(tmp_path / "b.jsonl", [{**row, "prompt": f"Once more: {row['prompt']}"} for row in rows])).card
    referred = graded(lines(tmp_path / "c.jsonl", [{**row, "references": ["Ada"]} for row in rows])).card
    for card in (other, referred):
        with pytest.raises(ValueError, match="not one prompt in common, with the same references"):
            compare(a, [card])


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    paths = []
    for folder in ("baseline", "unlearned"):
        (tmp_path / folder).mkdir()
        paths.append(lines(tmp_path / folder / "out.jsonl", [{"prompt": p, "completion": c} for p, c in PAIRS]))
    assert [one.card.name for one in rejudge_all(paths, JUDGE, Reading([]))] == ["baseline-out", "unlearned-out"]
    with pytest.raises(ValueError, match="two of the files are of baseline-out and completions"):
        rejudge_all([paths[0], paths[0]], JUDGE, Reading([]))


def test_a_broken_line_in_a_runs_samples_costs_itself_alone(tmp_path):
    ids = [f"q{n}" for n in range(4)]
    manifest = Manifest("m", "hf", "float32", {"hp_familiarity": TaskManifest("2", 4, prompts_sha256="abc")})
    Scorecard("m", (), {"hp_familiarity": ids}, {}, manifest).save(tmp_path / "scorecards" / "m.json")
    path = tmp_path / "samples" / "m" / "hp_familiarity.jsonl"
    path.parent.mkdir(parents=True)
    rows = [json.dumps({"id": id, "prompt": p, "responses": [c]}) for id, (p, c) in zip(ids, PAIRS, strict=True)]
    path.write_text("\n\n".join([rows[0], rows[1][:-9], *rows[2:]]))
    prompts = [Probe(id, p, ("Ada",), "partial", 2, "x") for id, p in zip(ids, PROMPTS, strict=True)]
    card = graded(path, prompts=prompts).card
    assert (list(card.items["hp_familiarity"]), card.manifest.tasks["hp_familiarity"].prompts_sha256) == (ids, "abc")
    assert card.values["hp_familiarity"]["familiarity"] == [5, None, 0, 5]
    with pytest.raises(ValueError, match="prompt 'q3' is not in the prompt file, and lexicon-v.* needs its references"):
        graded(path, prompts=prompts[:3])
    path.write_text("\n".join(rows[:3]))
    with pytest.raises(ValueError, match="are not of the same run"):
        graded(path)


class Fussy:
    """A judge that refuses the second completion."""

    name = "fussy"

    def grade(self, items):
        return [Verdict(None, unscored="no") if number == 1 else Verdict("none") for number, _ in enumerate(items)]


def test_grades_of_the_file_are_compared_with_ours(tmp_path):
    theirs = [3, 1, 0, 2]
    rows = [
        {"raw_question": p, "completion": {"response": c, "model_grade": g}}
        for (p, c), g in zip(PAIRS, theirs, strict=True)
    ]
    rows += [
        {"raw_question": "a", "completion": {"response": "b", "model_grade": -100}},
        {"raw_question": "c", "model_grade": 3},
    ]
    judged = graded(lines(tmp_path / "rows.jsonl", rows))
    assert [verdict.grade for verdict in judged.verdicts[:4]] == ["explicit", "thematic", "none", "explicit"]
    assert judged.own.n == 4
    assert judged.own.confusion["explicit"]["explicit"] == judged.own.confusion["none"]["none"] == 1
    assert judged.own.confusion["accidental"]["thematic"] == judged.own.confusion["thematic"]["explicit"] == 1
    # Observed 2/4; expected (1 x 2 + 1 x 1 + 1 x 0 + 1 x 1) / 16 = 1/4: kappa (1/2 - 1/4) / (3/4).
    assert judged.own.kappa == pytest.approx(1 / 3)
    assert [(d.id, d.gold, d.judge) for d in judged.own.disagreements] == [
        ("line 2", "accidental", "thematic"), ("line 4", "thematic", "explicit"),
    ]  # fmt: skip
    assert "4 grades of its own, read as 0-3" in judged.said
    fussy = rejudge(tmp_path / "rows.jsonl", Fussy(), Reading([]), name="x").own
    assert (fussy.unscored, fussy.confusion["accidental"]["unscored"]) == (1, 1)


def test_where_one_is_thematic_accidental_counts_as_none(tmp_path):
    lucky = LexiconJudge(
        Lexicon([Term("Nora Quill", "person", "idiosyncratic", variants=("Nora",), ambiguous=("Nora",))])
    )
    path = lines(
        tmp_path / "rows.jsonl",
        [{"prompt": PROMPTS[0], "completion": " Nora.", "grade": 0}, {"prompt": "a", "completion": "b", "grade": 5}],
    )
    judged = rejudge(path, lucky, Reading([]), name="x")
    assert judged.verdicts[0].grade == "accidental"
    assert judged.own.confusion["none"]["none"] == 1


E, T, A, N = "explicit", "thematic", "accidental", "none"


@pytest.mark.parametrize(
    "values, scale, grades, read_as",
    [
        ([3, 2, 1, 0], "", [E, T, A, N], "0-3"),
        ([5, 1, 0], "", [E, T, N], "0-5"),
        ([5.0, "1", "0.0", None], "", [E, T, N, None], "0-5"),
        ([0, 1], "0-3", [N, A], "0-3"),
        ([0, 1], "0-5", [N, T], "0-5"),
        ([0, 0], "", [N, N], "0-3"),
        (["MODEL_FAMILIARITY: 3/3", "It is luck.\nMODEL_FAMILIARITY: 1/3", -100], "", [E, A, None], "0-3"),
        (
            ["Explicit", " none ", "GRADE: thematic", "no idea", math.nan, True],
            "",
            [E, N, T, None, None, None],
            "words",
        ),
        (["explicit", 0], "", [E, N], "0-3"),
    ],
)
def test_grades_are_read_on_the_scale_that_they_fit(values, scale, grades, read_as):
    assert read_grades(values, scale) == (grades, read_as)


@pytest.mark.parametrize(
    "values, scale, message",
    [
        ([0, 1], "", "0, 1 fit more than one scale"), ([4, 0], "", "0, 4 fit no scale"), ([0.5], "", "0.5 fit no scale"),
        ([5], "0-3", "5 fit no scale"), ([3], "0-4", "must be 0-3 or 0-5, not '0-4'"),
    ],
)  # fmt: skip
def test_grades_on_no_scale_or_on_two_are_not_guessed(tmp_path, values, scale, message):
    with pytest.raises(ValueError, match=message):
        read_grades(values, scale)
    rows = [{"prompt": f"{n}", "completion": "b", "grade": value} for n, value in enumerate(values)]
    path = lines(tmp_path / "rows.jsonl", rows)
    if scale:
        with pytest.raises(ValueError, match=message):
            graded(path, scale=scale)
    else:
        judged = graded(path)
        assert judged.own is None and message in judged.said[-1]
