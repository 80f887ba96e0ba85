"""The prompt files are what they claim to be: counts, kinds, lengths, levels, references that count, no two alike."""

import json
from collections import Counter
from itertools import combinations

import pytest

from hp_bench.judges.lexicon import LexiconJudge
from hp_bench.probes.paths import prompts_dir
from hp_bench.probes.rows import Probe, TokenProbe, load_probes, load_token_probes
from hp_bench.text.terms import Lexicon, fold, words

TOPICS = {"characters", "places", "objects", "spells", "creatures", "sport", "plot", "author", "films"}


@pytest.fixture(scope="module")
def probes() -> list[Probe]:
    return load_probes(prompts_dir() / "familiarity.jsonl")


@pytest.fixture(scope="module")
def token_probes() -> list[TokenProbe]:
    return load_token_probes(prompts_dir() / "token_probability.jsonl")


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon.load(prompts_dir() / "lexicon.jsonl")


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}


def test_there_are_300_familiarity_prompts_with_ids_of_their_own(probes):
    assert len({probe.id for probe in probes}) == len(probes) == 300


def test_every_kind_has_at_least_60_prompts(probes):
    counts = Counter(probe.kind for probe in probes)
    assert set(counts) == {"partial", "overt", "covert"}
    assert min(counts.values()) >= 60


def test_every_prompt_has_9_to_60_words(probes):
    assert {probe.id: n for probe in probes if not 9 <= (n := len(probe.prompt.split())) <= 60} == {}


def test_every_subtlety_level_has_at_least_15_prompts(probes):
    counts = Counter(probe.subtlety for probe in probes)
    assert set(counts) == set(range(1, 11))
    assert min(counts.values()) >= 15


def test_every_level_of_fame_has_at_least_50_prompts(probes):
    counts = Counter(probe.fame for probe in probes)
    assert set(counts) == {1, 2, 3, 4, 5}
    assert min(counts.values()) >= 50


def test_text_breaks_off_where_the_answer_comes(probes):
    """No riddle that ends in a full stop, no bare "Answer:"."""
    assert [p.id for p in probes if p.prompt.endswith((".", "!", "?")) or p.prompt.lower().endswith("answer:")] == []


def test_the_prompts_of_version_1_are_there_still():
    assert len(load_probes(prompts_dir() / "familiarity-v1.jsonl")) == 300


def test_level_1_names_the_boy_and_level_10_names_nothing_of_the_books(probes, lexicon):
    """A hint that only a reader notices holds no unambiguous term of the lexicon's own."""
    assert [p.id for p in probes if p.subtlety == 1 and "harry" not in words(p.prompt)] == []
    given_away = {
        probe.id: found.form
        for probe in probes
        if probe.subtlety == 10
        for found in lexicon.find(probe.prompt)
        if found.term.scope == "idiosyncratic" and not found.ambiguous
    }
    assert given_away == {}


def test_every_topic_is_there(probes):
    counts = Counter(probe.topic for probe in probes)
    assert set(counts) == TOPICS
    assert min(counts.values()) >= 10


def test_all_seven_books_are_drawn_on():
    """By the notes of the two checkers, who name the book of a fact."""
    ordinals = ("one", "two", "three", "four", "five", "six", "seven")
    facts = " ".join(check["fact"].lower() for check in checks() if check["id"].startswith("fam"))
    missing = [n for n, word in enumerate(ordinals, 1) if not any(f"book {x}" in facts for x in (n, word))]
    assert missing == []


def test_no_two_familiarity_prompts_share_six_words_in_a_row(probes):
    """Six, since the name of the series takes up to five: "of the Harry Potter films"."""
    seen = [(probe.id, grams(probe.prompt, 6)) for probe in probes]
    assert [(a, b, x & y) for (a, x), (b, y) in combinations(seen, 2) if x & y] == []


def test_no_two_familiarity_prompts_are_alike_in_words_or_trigrams(probes):
    alike = []
    for n, bound in ((1, 0.35), (3, 0.1)):
        seen = [(probe.id, grams(probe.prompt, n)) for probe in probes]
        alike += [(n, a, b) for (a, x), (b, y) in combinations(seen, 2) if len(x & y) > bound * len(x | y)]
    assert alike == []


def test_no_prompt_of_one_file_is_a_prompt_of_the_other(probes, token_probes):
    tokens = [(probe.id, grams(probe.prompt, 6)) for probe in token_probes]
    assert [(p.id, t) for p in probes for t, six in tokens if grams(p.prompt, 6) & six] == []
    assert [(a, b) for (a, x), (b, y) in combinations(tokens, 2) if x & y] == []


def test_no_reference_and_no_longer_word_of_one_is_in_its_prompt(probes):
    """Checked here on the raw text, without the loader's help."""
    echoes = []
    for probe in probes:
        prompt = fold(probe.prompt)
        told = set(words(probe.prompt))
        for reference in probe.references:
            if fold(reference) in prompt or any(len(word) >= 4 and word in told for word in words(reference)):
                echoes.append((probe.id, reference))
    assert echoes == []


def test_every_prompt_has_a_reference_that_alone_is_graded_explicit(probes, lexicon):
    judge = LexiconJudge(lexicon)
    hopeless = [
        probe.id
        for probe in probes
        if not any(v.grade == "explicit" for v in judge.grade([(probe, f" {r}.") for r in probe.references]))
    ]
    assert hopeless == []


def test_no_prompt_repeated_by_the_model_counts(probes, lexicon):
    verdicts = LexiconJudge(lexicon).grade([(probe, " " + probe.prompt) for probe in probes])
    assert [p.id for p, verdict in zip(probes, verdicts, strict=True) if verdict.familiarity > 0] == []


def test_there_are_30_token_probability_prompts_with_four_words_of_each_sort(token_probes):
    assert len({probe.id for probe in token_probes}) == len(token_probes) == 30
    assert min(len(probe.specific) for probe in token_probes) >= 4
    assert min(len(probe.generic) for probe in token_probes) >= 4


def test_no_next_word_is_a_prefix_of_another_or_stands_in_its_prompt(token_probes):
    for probe in token_probes:
        choices = [choice.casefold() for choice in (*probe.specific, *probe.generic)]
        assert [
            (a, b) for i, a in enumerate(choices) for j, b in enumerate(choices) if i != j and b.startswith(a)
        ] == []
        assert [choice for choice in probe.specific if fold(choice) in words(probe.prompt)] == [], probe.id


def test_every_next_word_is_one_word(token_probes):
    assert [w for p in token_probes for w in (*p.specific, *p.generic) if len(w.split()) != 1 or w != w.strip()] == []


def test_no_generic_next_word_gives_the_books_away(token_probes, lexicon):
    assert [(p.id, word) for p in token_probes for word in p.generic if lexicon.find(word)] == []


def test_the_lexicon_has_700_terms_of_the_books_and_120_of_the_theme(lexicon):
    scopes = Counter(term.scope for term in lexicon.terms)
    assert scopes["idiosyncratic"] >= 700
    assert scopes["thematic"] >= 120


@pytest.mark.parametrize(
    "scope, types",
    [
        (
            "idiosyncratic",
            {"person", "place", "spell", "object", "creature", "event", "title", "sport", "potion", "group"},
        ),
        ("thematic", {"magic", "object", "creature", "people", "place", "school"}),
    ],
)
def test_terms_are_typed(lexicon, scope, types):
    found = Counter(term.type for term in lexicon.terms if term.scope == scope)
    assert types <= set(found)
    assert min(found[kind] for kind in types) >= 10
    assert all(term.type for term in lexicon.terms)


@pytest.mark.parametrize("form", ["Harry", "Ron", "charm", "Potter", "Seeker", "Moody", "Percy", "Sirius", "Ginny"])
def test_ordinary_words_and_names_are_marked_ambiguous(lexicon, form):
    (occurrence,) = lexicon.find(f"It was {form} again.")
    assert occurrence.term.scope == "idiosyncratic"
    assert occurrence.ambiguous


@pytest.mark.parametrize(
    "form", ["Harry Potter", "Ron Weasley", "Hermione", "Hogwarts", "Quidditch", "Expelliarmus", "Muggle"]
)
def test_what_only_the_books_have_is_not_ambiguous(lexicon, form):
    (occurrence,) = lexicon.find(f"It was {form} again.")
    assert not occurrence.ambiguous


@pytest.mark.parametrize("form", ["wizard", "wand", "spell", "witch", "potion", "broomstick", "dragon", "cauldron"])
def test_words_of_the_theme_are_thematic(lexicon, form):
    (occurrence,) = lexicon.find(f"It was a {form} again.")
    assert occurrence.term.scope == "thematic"


def test_every_form_of_the_lexicon_can_be_found_alone(lexicon):
    lost = [
        form
        for term in lexicon.terms
        for form in term.forms
        if term not in [occurrence.term for occurrence in lexicon.find_overlapping(f"({form})")]
    ]
    assert lost == []


def checks() -> list[dict]:
    return [json.loads(line) for line in (prompts_dir() / "checks.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_fact_was_checked_by_two_checkers(probes, token_probes):
    found = {check["id"]: check for check in checks()}
    old = load_probes(prompts_dir() / "familiarity-v1.jsonl")
    assert set(found) == {probe.id for probe in (*old, *probes, *token_probes)}
    for check in found.values():
        assert check["fact"]
        assert sorted(one["checker"] for one in check["checks"]) == ["1", "2"], check["id"]
        assert all(one["verdict"] in ("ok", "doubtful", "wrong") for one in check["checks"])
        assert all(one["note"] for one in check["checks"] if one["verdict"] != "ok"), check["id"]


def test_nothing_that_a_checker_called_wrong_was_left_as_it_was():
    assert [
        c["id"] for c in checks() if any(k["verdict"] == "wrong" for k in c["checks"]) and not c["changed_after"]
    ] == []
