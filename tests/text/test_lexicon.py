"""Finding terms in text: whole words, whatever their case, accents, quotes and white space; and refusing a bad lexicon."""

import random

import pytest

from hp_bench.text.terms import Lexicon, Term, fold, words

SMALL = Lexicon(
    [
        Term(term="Nora Quill", type="person", scope="idiosyncratic", variants=("Nora", "Quill"), ambiguous=("Nora",)),
        Term(term="Port Ansel", type="place", scope="idiosyncratic"),
        Term(term="Ansel's Lantern", type="object", scope="idiosyncratic"),
        Term(term="Élodie", type="person", scope="idiosyncratic"),
        Term(term="moon-gate", type="object", scope="idiosyncratic"),
        Term(term="harbour", type="place", scope="thematic", variants=("harbours",)),
    ]
)


def found(text: str) -> list[str]:
    return [occurrence.form for occurrence in SMALL.find(text)]


@pytest.mark.parametrize(
    "text, forms",
    [
        ("Nora Quill met Quill.", ["Nora Quill", "Quill"]),
        ("NORA QUILL and port ansel", ["Nora Quill", "Port Ansel"]),
        ("Norah, Quillon, anora, Nora1, 1Nora", []),
        ("Nora's, Nora’s and Noras", ["Nora", "Nora"]),
        ("Quill-Nora; (Nora) [Nora] “Nora” *Nora* _Nora_", ["Quill"] + ["Nora"] * 6),
        ("Ansel’s Lantern and Ansel's lantern", ["Ansel's Lantern"] * 2),
        ("Elodie, ÉLODIE and E\u0301lodie", ["Élodie"] * 3),
        ("the moon–gate, the moon‑gate and the moon gate", ["moon-gate"] * 2),
        ("Port\nAnsel, Port  Ansel, Port\u00a0Ansel, Port\t Ansel", ["Port Ansel"] * 4),
        ("Port, Ansel", []),
        ("Ｎｏｒａ", ["Nora"]),
        ("", []),
        ("東京 Nora東京", []),
    ],
)
def test_terms_are_found_as_whole_words(text, forms):
    assert found(text) == forms


@pytest.mark.parametrize(
    "text", ["  E\u0301lodie!  Port \n Ansel. “Nora’s” İstanbul ﬁne Nora Quill", "ß Nora ß", "🦉Nora🦉 Port Ansel"]
)
def test_an_occurrence_says_where_it_stands_in_the_text_as_written(text):
    occurrences = SMALL.find_overlapping(text)
    assert occurrences
    for occurrence in occurrences:
        passage = text[occurrence.start : occurrence.end]
        assert words(passage) == words(occurrence.form)
        assert passage == passage.strip()


def test_the_longest_form_wins_and_the_shorter_ones_inside_it_can_be_asked_for():
    assert [occurrence.form for occurrence in SMALL.find("Nora Quill")] == ["Nora Quill"]
    assert [occurrence.form for occurrence in SMALL.find_overlapping("Nora Quill")] == ["Nora Quill", "Nora", "Quill"]


def test_an_occurrence_is_ambiguous_by_its_form_and_not_by_its_term():
    assert [occurrence.ambiguous for occurrence in SMALL.find("Nora. Quill. Nora Quill.")] == [True, False, False]


def test_the_matcher_agrees_with_a_search_word_by_word_on_random_text():
    pieces = ["Nora", "quill", "Port", "Ansel", "harbour", "harbours", "Norah", "the", "moon-gate", "x", "élodie"]
    rng = random.Random(0)
    forms = {tuple(words(form)): form for term in SMALL.terms for form in term.forms if "-" not in form}
    for _ in range(200):
        chosen = rng.choices(pieces, k=12)
        text = " ".join(chosen)
        said = [words(piece)[0] if "-" not in piece else piece for piece in chosen]
        expected, i = [], 0
        while i < len(said):
            length = next((n for n in (2, 1) if tuple(said[i : i + n]) in forms and len(said[i : i + n]) == n), 0)
            expected += [forms[tuple(said[i : i + length])]] if length else ["moon-gate"] * (said[i] == "moon-gate")
            i += length or 1
        assert found(text) == expected, text


@pytest.mark.parametrize("text", ["Élodie’s ﬁre ½ Ⅷ İ ß “x” – 東京 🦉", "e\u0301", "\x00\ufffd"])
def test_folding_keeps_every_character_in_its_place(text):
    assert len(fold(text)) == len(text)


def test_words_are_folded_and_without_punctuation():
    assert words("“Élodie’s moon-gate”, said E\u0301lodie: __1997__!") == [
        *("elodie", "s", "moon", "gate", "said", "elodie", "1997"),
    ]


def test_the_owner_of_a_form_ignores_case_accents_and_white_space():
    assert SMALL.owner("elodie").term == "Élodie"
    assert SMALL.owner("PORT  ANSEL").term == "Port Ansel"
    assert SMALL.owner("Port") is None


def test_an_empty_lexicon_finds_nothing():
    assert Lexicon([]).find("Nora") == []


def test_a_form_of_two_terms_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'nora' belongs to two terms: 'Nora' and 'Nora Quill'"):
        Lexicon(
            [
                Term(term="Nora", type="person", scope="idiosyncratic"),
                Term(term="Nora Quill", type="person", scope="idiosyncratic", variants=("nora",)),
            ]
        )


def test_an_ambiguous_form_that_is_no_form_is_refused():
    with pytest.raises(ValueError, match=r"\['Norah'\] are neither the term 'Nora' nor one of its variants"):
        Term(term="Nora", type="person", scope="idiosyncratic", ambiguous=("Norah",))


GOOD = '{"term": "Nora", "type": "person", "scope": "idiosyncratic"}'


@pytest.mark.parametrize(
    "lines, message",
    [
        ([GOOD, '{"term": "Quill", "type": "person"}'], "line 2: not a lexicon term: it lacks scope"),
        ([GOOD, GOOD.replace("Nora", "Quill").replace("idio", "odio")], "line 2: not a lexicon term: scope: "),
        ([GOOD.replace('"type"', '"kind": 1, "type"')], "line 1: not a lexicon term: unknown is kind"),
        ([GOOD, "{"], "line 2: not a JSON object: '{'"),
        ([GOOD, '["Nora"]'], "line 2: not a JSON object: "),
        ([GOOD, GOOD.lower()], "form 'nora' belongs to two terms"),
    ],
)
def test_a_bad_lexicon_file_is_one_sentence_that_names_the_file_and_the_line(tmp_path, lines, message):
    path = tmp_path / "lexicon.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        Lexicon.load(path)
    assert f"{path}" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_lexicon_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.jsonl' cannot be read: No such file"):
        Lexicon.load(tmp_path / "nowhere.jsonl")
