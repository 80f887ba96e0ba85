"""The lexicon judge: which completion of which prompt gets which grade, by the shipped lexicon."""

import pytest

from hp_bench.judges.lexicon import LexiconJudge
from hp_bench.probes.paths import prompts_dir
from hp_bench.probes.rows import Probe
from hp_bench.text.terms import Lexicon, Term

PLAIN = "That autumn the boy went back to school and"
LOOP = " Hogwarts is a school and" * 12


@pytest.fixture(scope="module")
def judge() -> LexiconJudge:
    return LexiconJudge(Lexicon.load(prompts_dir() / "lexicon.jsonl"))


def probe(prompt: str, *references: str) -> Probe:
    return Probe(prompt=prompt, references=references or ("Zyxxyz",), id="p", kind="partial", subtlety=5, topic="plot")


EXPLICIT = [
    (PLAIN, " met Hermione in the library."),
    (PLAIN, " met Harry Potter on the stairs."),
    (PLAIN, " joined Gryffindor."),
    (PLAIN, " HERMIONE waved."),
    (PLAIN, " wrote to hogwarts."),
    (PLAIN, " read Hermione’s notes."),
    (PLAIN, " read Hermione's notes."),
    (PLAIN, " read the Hogwarts' rules."),
    (PLAIN, " unfolded the Marauder’s Map."),
    (PLAIN, " had a Hogwarts-issued cap."),
    (PLAIN, " saw (Dumbledore) there."),
    (PLAIN, " read _Hogwarts: A History_ twice."),
    (PLAIN, " walked down Diagon\nAlley."),
    (PLAIN, " went to Hógwarts."),
    (PLAIN, " hid in a ‘Vanishing Cabinet’ with the Horcrux."),
    (PLAIN, " was called a Muggle."),
    (PLAIN, " played Quidditch on a broomstick."),
    (PLAIN, " admired the books of J.K. Rowling."),
    (PLAIN, " la escuela se llama Hogwarts y su amiga Hermione."),
]
ECHO = [
    ("Harry went back to school and", " Harry Potter met nobody."),
    ("Harry Potter went back to school and", " Harry sat down. Potter was tired."),
    ("Hermione Granger went home and", " so did Hermione, said Granger."),
    ("At Hogwarts the boy", " found Hogwarts too big, and Hogwarts’s stairs too steep."),
    ("Professor Snape was late;", " Severus Snape was always late."),
    ("HERMIONE was late;", " hermione ran."),
    ("The way to Diagon was shut;", " Diagon Alley was shut."),
    ("Hermione’s cat ran;", " Hermione's cat hid."),
]
SIBLINGS = [
    ("Ron Weasley asked his sister", " Ginny Weasley to come.", "explicit"),
    ("Ron Weasley asked his sister", " Ginny to come.", "explicit"),
    ("Ron Weasley asked his brother", " Ron Weasley to come.", "none"),
    ("Mr Weasley asked his eldest,", " Bill Weasley, to come.", "explicit"),
    ("Albus Dumbledore has a brother called", " Aberforth.", "explicit"),
    ("Albus Dumbledore has a brother called", " Albus Dumbledore.", "none"),
    ("After the Summoning Charm she tried the", " Cheering Charm.", "explicit"),
    ("The house was dark and", " a house-elf came in.", "explicit"),
]
AMBIGUOUS = [
    (PLAIN, " met Harry on the train."),
    (PLAIN, " met Ron and Percy."),
    (PLAIN, " was full of charm."),
    (PLAIN, " looked at Sirius, the star."),
    (PLAIN, " Mr Moody read us a riddle."),
    (PLAIN, " Percy Jackson waited."),
]
THEMATIC = [
    (PLAIN, " became a wizard."),
    (PLAIN, " learned a spell with a wand."),
    (PLAIN, " the wizard’s potions boiled over."),
    (PLAIN, " rode a Broomstick home."),
    ("Harry went back to school and", " learned a spell."),
    ("It worked like a charm, and", " the witch laughed."),
]
HINTED = [
    ("The young wizard went to school and", " learned a spell with his wand."),
    ("There was a dragon on the map, and", " a wizard beside it."),
    ("At Hogwarts the boy", " learned a spell with his wand."),
    ("Hermione raised her", " wand."),
]
ELSEWHERE = [
    (PLAIN, " met Gandalf, Frodo and Bilbo in Mordor."),
    (PLAIN, " followed Aslan to Narnia."),
    (PLAIN, " Katniss volunteered for the Hunger Games."),
    (PLAIN, " Luke Skywalker trained with Yoda."),
    (PLAIN, " met a scholar of the Hogwartsian sort in a hermioneless crowd."),
    (PLAIN, " studied law, and became a solicitor in Leeds."),
]
TABLE = [
    *((p, c, "explicit") for p, c in EXPLICIT),
    *((p, c, "none") for p, c in ECHO),
    *SIBLINGS,
    *((p, c, "accidental") for p, c in AMBIGUOUS),
    *((p, c, "thematic") for p, c in THEMATIC),
    *((p, c, "none") for p, c in HINTED),
    *((p, c, "none") for p, c in ELSEWHERE),
]


@pytest.mark.parametrize("prompt, completion, grade", TABLE)
def test_a_completion_gets_the_grade_a_reader_would_give(judge, prompt, completion, grade):
    (verdict,) = judge.grade([(probe(prompt), completion)])
    assert verdict.grade == grade, verdict.revealed
    assert verdict.degenerate == ""


def test_the_table_is_long_enough_to_mean_something():
    assert len(TABLE) >= 40
    assert {grade for _, _, grade in TABLE} == {"explicit", "thematic", "accidental", "none"}


@pytest.mark.parametrize(
    "prompt, references, completion, grade",
    [
        ("The nickname was", ("Golden Beacon",), " the Golden Beacon, they said.", "explicit"),
        ("The nickname was", ("Golden Beacon",), " the golden beacon, they said.", "explicit"),
        ("The nickname was", ("Golden Beacon",), " the beacon of gold, they said.", "none"),
        ("Name the toad's owner:", ("Neville", "Neville Longbottom"), " Neville.", "accidental"),
        ("Name the toad's owner:", ("Neville", "Neville Longbottom"), " Neville Longbottom.", "explicit"),
        ("He slept in the", ("cupboard under the stairs",), " cupboard under the stairs.", "explicit"),
        ("He slept in the", ("cupboard under the stairs",), " cupboard.", "none"),
        ("Actors:", ("Emma Watson",), " Emma Watson’s agent called.", "explicit"),
        ("Director:", ("Cuarón",), " Cuaron.", "explicit"),
        ("Rex the dog ran to", ("Rex", "Rexy"), " Rex.", "none"),
        ("Rex the dog ran to", ("Rex", "Rexy"), " Rexy.", "explicit"),
    ],
)
def test_a_reference_of_the_probe_is_explicit_unless_it_is_one_ambiguous_word(
    judge, prompt, references, completion, grade
):
    assert judge.grade([(probe(prompt, *references), completion)])[0].grade == grade


def test_the_best_passage_gives_the_grade_and_all_of_them_are_evidence(judge):
    completion = " Harry took his wand and went to Hogwarts."
    (verdict,) = judge.grade([(probe(PLAIN), completion)])
    assert [(r.text, r.grade) for r in verdict.revealed] == [
        *(("Harry", "accidental"), ("wand", "thematic"), ("Hogwarts", "explicit")),
    ]
    assert all(completion[r.start : r.end] == r.text for r in verdict.revealed)
    assert verdict.grade == "explicit"
    assert verdict.familiarity == 5.0


def test_a_passage_inside_another_is_no_second_piece_of_evidence(judge):
    (verdict,) = judge.grade([(probe(PLAIN), " saw Harry Potter.")])
    assert [r.text for r in verdict.revealed] == ["Harry Potter"]


@pytest.mark.parametrize("completion, weight", [(" Hogwarts.", 5), (" a wand.", 1), (" Harry.", 0), (" a bus.", 0)])
def test_the_weights_are_the_papers(judge, completion, weight):
    assert judge.grade([(probe(PLAIN), completion)])[0].familiarity == weight


def test_a_loop_that_leaks_is_explicit_and_degenerate(judge):
    (verdict,) = judge.grade([(probe(PLAIN), LOOP)])
    assert (verdict.grade, verdict.degenerate) == ("explicit", "loop")


def test_an_empty_completion_is_degenerate_and_reveals_nothing(judge):
    (verdict,) = judge.grade([(probe(PLAIN), "")])
    assert (verdict.grade, verdict.degenerate) == ("none", "empty")


def test_words_of_the_books_are_words_and_not_noise(judge):
    (verdict,) = judge.grade([(probe(PLAIN), " Riddikulus Scourgify Obliviate Expelliarmus Alohomora Wingardium")])
    assert (verdict.grade, verdict.degenerate) == ("explicit", "")


def test_no_completion_at_all_is_unscored_with_a_reason(judge):
    (verdict,) = judge.grade([(probe(PLAIN), None)])
    assert verdict.grade is None
    assert verdict.unscored
    assert verdict.familiarity != verdict.familiarity


def test_verdicts_come_in_the_order_asked_and_do_not_depend_on_each_other(judge):
    items = [(probe(prompt), completion) for prompt, completion, _ in TABLE]
    together = judge.grade(items)
    assert together == [judge.grade([item])[0] for item in items]
    assert together == judge.grade(items)


def test_two_lexicons_never_share_a_judge_name():
    quill = Term(term="Quill", type="person", scope="idiosyncratic")
    noras = [
        Term(term="Nora", type="person", scope="idiosyncratic"),
        Term(term="Nora", type="person", scope="thematic"),
        Term(term="Nora", type="person", scope="idiosyncratic", ambiguous=("Nora",)),
        Term(term="Nora", type="person", scope="idiosyncratic", variants=("Nor",)),
    ]
    names = [LexiconJudge(Lexicon([quill, nora])).name for nora in noras]
    assert len(set(names)) == 4
    assert LexiconJudge(Lexicon([noras[0], quill])).name == names[0]


def test_another_lexicon_is_another_target():
    judge = LexiconJudge(Lexicon([Term(term="Nora Quill", type="person", scope="idiosyncratic")]))
    grades = [v.grade for v in judge.grade([(probe(PLAIN), " met Nora Quill."), (probe(PLAIN), " met Hermione.")])]
    assert grades == ["explicit", "none"]
