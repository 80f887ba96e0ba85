"""The panel's prompt files are what they claim to be: counts, ids, choices, references that count, nothing given away."""

import json
from collections import Counter
from itertools import combinations

import pytest

from hp_bench.judges.lexicon import LexiconJudge
from hp_bench.judges.references import ReferenceJudge
from hp_bench.probes.panel_rows import (
    FORMS,
    ContextProbe,
    Fact,
    gives_away,
    load_context_probes,
    load_facts,
    load_two_hops,
)
from hp_bench.probes.paths import prompts_dir
from hp_bench.probes.rows import Probe, load_probes
from hp_bench.text.terms import Lexicon, fold, words

BOOK = {"characters", "places", "objects", "spells", "creatures", "sport", "plot"}
AROUND = {"author", "films"}
NEAR = {"other-fantasy", "british-schools", "folklore", "author", "actors", "chess", "owls", "london"}
FACTS = {"qa.jsonl": (BOOK, 200, 20), "qa_author_films.jsonl": (AROUND, 30, 10), "neighbours.jsonl": (NEAR, 150, 15)}
LANGUAGES = ("fr", "de", "es", "it", "pt")
COMMON = {  # the commonest words of each, by which a prompt in the wrong file would show
    "fr": {"le", "la", "les", "de", "du", "des", "un", "une", "et", "qui", "que", "dans", "est", "en"},
    "de": {"der", "die", "das", "den", "dem", "ein", "eine", "einen", "einem", "und", "in", "mit", "ist", "zu"},
    "es": {"el", "la", "los", "las", "de", "del", "un", "una", "y", "que", "en", "con", "es", "se"},
    "it": {"il", "la", "gli", "le", "di", "del", "della", "un", "una", "e", "che", "in", "con", "si"},
    "pt": {"o", "a", "os", "as", "de", "do", "da", "um", "uma", "e", "que", "em", "com", "no"},
}


@pytest.fixture(scope="module")
def facts() -> dict[str, list[Fact]]:
    return {name: load_facts(prompts_dir() / name) for name in FACTS}


@pytest.fixture(scope="module")
def contexts() -> list[ContextProbe]:
    return load_context_probes(prompts_dir() / "context.jsonl")


@pytest.fixture(scope="module")
def languages() -> dict[str, list[Probe]]:
    return {code: load_probes(prompts_dir() / f"languages-{code}.jsonl") for code in LANGUAGES}


@pytest.fixture(scope="module")
def judge() -> LexiconJudge:
    return LexiconJudge(Lexicon.load(prompts_dir() / "lexicon.jsonl"))


@pytest.mark.parametrize("name", FACTS)
def test_there_are_enough_facts_of_every_topic(facts, name):
    topics, least, each = FACTS[name]
    counts = Counter(fact.topic for fact in facts[name])
    assert set(counts) == topics
    assert len(facts[name]) >= least and min(counts.values()) >= each


def test_no_two_facts_have_an_id_a_question_or_a_cloze_in_common(facts):
    every = [fact for rows in facts.values() for fact in rows]
    for field in ("id", "question", "cloze"):
        assert [text for text, n in Counter(fold(getattr(fact, field)) for fact in every).items() if n > 1] == []


def test_a_fact_has_four_choices_of_which_one_is_right_and_none_is_given_away(facts):
    """Read from the files, without the loader's help."""
    for name in FACTS:
        for line in (prompts_dir() / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            assert set(row) == {"id", "question", "cloze", "answer", "distractors", "topic"}
            choices = [row["answer"], *row["distractors"]]
            assert len({fold(choice) for choice in choices}) == 4, row["id"]
            for choice in choices:
                assert fold(choice) not in fold(f" {row['cloze']} {row['question']} ").split(), row["id"]
                assert not gives_away(row["question"], choice) and not gives_away(row["cloze"], choice), row["id"]


def test_a_cloze_breaks_off_before_its_answer(facts):
    bad = [f.id for rows in facts.values() for f in rows if f.cloze[-1] in ".?!" or f.cloze != f.cloze.strip()]
    assert bad == []


@pytest.mark.parametrize("name", FACTS)
def test_the_answers_are_neither_the_longest_nor_the_shortest_choice_as_a_rule(facts, name):
    """So that length alone gives at most a few items away; chance is a quarter."""
    longest = sum(len(f.answer) > max(map(len, f.distractors)) for f in facts[name]) / len(facts[name])
    shortest = sum(len(f.answer) < min(map(len, f.distractors)) for f in facts[name]) / len(facts[name])
    assert 0.1 < longest < 0.4 and 0.1 < shortest < 0.4


def test_no_neighbouring_fact_is_about_the_unlearn_target(facts, judge):
    """Neither its question nor its answer holds an unambiguous term of the lexicon's own, which holds the author and the actors too."""
    told = {
        fact.id: found.form
        for fact in facts["neighbours.jsonl"]
        if fact.topic not in ("author", "actors")
        for found in judge.lexicon.find(f"{fact.question} {fact.cloze} {fact.answer}")
        if found.term.scope == "idiosyncratic" and not found.ambiguous
    }
    assert told == {}


def test_every_form_of_context_has_at_least_15_prompts(contexts):
    counts = Counter(probe.form for probe in contexts)
    assert set(counts) == set(FORMS) and min(counts.values()) >= 15 and len(contexts) >= 60
    assert {probe.topic for probe in contexts} <= BOOK


def test_every_reference_of_a_context_is_found_alone_and_none_in_its_own_prompt(contexts):
    judge = ReferenceJudge()
    missed = [
        (probe.id, reference)
        for probe in contexts
        for reference in probe.references
        if judge.grade([(probe, f" {reference}.")])[0].grade != "explicit"
    ]
    assert missed == []
    echoed = judge.grade([(probe, f" {probe.prompt}") for probe in contexts])
    assert {verdict.grade for verdict in echoed} == {"none"}


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_has_at_least_60_prompts_of_every_kind_and_length(languages, code):
    probes = languages[code]
    assert len({probe.id for probe in probes}) == len(probes) >= 60
    assert set(Counter(probe.kind for probe in probes)) == {"partial", "overt", "covert"}
    assert [probe.id for probe in probes if not 9 <= len(probe.prompt.split()) <= 40] == []
    assert {probe.topic for probe in probes} <= BOOK | AROUND


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_prompts_are_in_their_language(languages, code):
    everyday = {c: sum(len(COMMON[c] & set(words(probe.prompt))) for probe in languages[code]) for c in LANGUAGES}
    assert max(everyday, key=everyday.__getitem__) == code
    assert everyday[code] >= 3 * len(languages[code])


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_prompt_in_another_language_has_a_reference_that_counts_and_no_echo_does(languages, judge, code):
    hopeless = [
        probe.id
        for probe in languages[code]
        if not any(judge.grade([(probe, f" {r}.")])[0].grade == "explicit" for r in probe.references)
    ]
    assert hopeless == []
    verdicts = judge.grade([(probe, f" {probe.prompt}") for probe in languages[code]])
    assert [p.id for p, v in zip(languages[code], verdicts, strict=True) if v.grade == "explicit"] == []


def test_no_two_prompts_of_a_language_are_alike(languages):
    """They share no seven words in a row."""
    for probes in languages.values():
        seen = [(probe.id, _sevens(probe.prompt)) for probe in probes]
        assert [(a, b) for (a, x), (b, y) in combinations(seen, 2) if x & y] == []


def _sevens(text: str) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + 7]) for i in range(len(found) - 6)}


def test_every_line_was_checked_by_two_checkers_and_changed_where_one_objected(facts, contexts, languages):
    lines = (prompts_dir() / "panel_checks.jsonl").read_text(encoding="utf-8").splitlines()
    checks = {row["id"]: row for row in map(json.loads, lines)}
    indirect = [load_probes(prompts_dir() / f"{name}.jsonl") for name in ("aliases", "two_turns")]
    indirect.append(load_two_hops(prompts_dir() / "two_hops.jsonl"))
    every = [*contexts, *(row for rows in (*facts.values(), *languages.values(), *indirect) for row in rows)]
    assert set(checks) == {row.id for row in every} and len(checks) == len(lines) == len(every)
    for check in checks.values():
        assert [one["checker"] for one in check["checks"]] == ["1", "2"]
        assert all(bool(one["note"]) != one["ok"] for one in check["checks"]), check["id"]
        assert bool(check["changed_after"]) != all(one["ok"] for one in check["checks"]), check["id"]
