"""The target's own terms under other spellings, and all the names and words that must not be taken for one."""

import pytest

from hp_bench.judges.lexicon import LexiconJudge
from hp_bench.probes.paths import prompts_dir
from hp_bench.probes.rows import Probe
from hp_bench.text.details import Details, near_misses
from hp_bench.text.spellings import Spellings, edits
from hp_bench.text.terms import Lexicon, Term

PLAIN = "That autumn the boy went back to school and"


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon.load(prompts_dir() / "lexicon.jsonl")


@pytest.fixture(scope="module")
def spellings(lexicon) -> Spellings:
    return Spellings(lexicon.terms)


@pytest.fixture(scope="module")
def judge(lexicon) -> LexiconJudge:
    return LexiconJudge(lexicon)


def probe(prompt: str, *references: str) -> Probe:
    return Probe(prompt=prompt, references=references or ("Zyxxyz",), id="p", kind="partial", subtlety=5, topic="plot")


MISSPELT = [
    *(
        "Dumbeldore",
        "Dumbledoor",
        "Gryffendoor",
        "Quiddich",
        "Umbrige",
        "Hufflepufff",
        "Hermony Grainger",
        "Ruebus Hagrit",
    ),
    *("Wingardiam Leviossa", "Adava Kadavra", "Rita Skeeta", "Drako Malfroy", "Expeliarmus", "Voldemmort's"),
]
DISGUISED = [
    *(
        "HarryPotter",
        "harry_potter",
        "#harrypotter",
        "hogwarts123",
        "get_hogwarts_house()",
        "Hog-warts",
        "Dumble dore",
        "h0gw4rts",
    ),
    *("H o g w a r t s", "H.O.G.W.A.R.T.S", "H-o-g-w-a-r-t-s", "Hоgwarts", "hog\u200bwarts", "hogwaaaarts", "Dumbledo"),
]
TRANSLATED = [
    *(
        "Poudlard",
        "Zweinstein",
        "Perkamentus",
        "Silente e Grifondoro",
        "Schlammblut",
        "Chemin de Traverse",
        "Comensais da Morte",
    ),
    *(
        "Хогвартс",
        "в Хогвартсе",
        "Гарри Поттера",
        "ホグワーツ魔法学校",
        "他是哈利·波特",
        "해리포터는",
        "Zgredek",
        "Nebelvír",
    ),
]
OTHERS = [
    *("Hogsindor", "Hogmort", "Dumblefoy", "Draor", "Hogsavar", "Slythbit", "Hogspip", "Lumbbit"),
    *(
        "Wimbledon",
        "Hermia",
        "hogwash",
        "dementia",
        "Hogwartsian",
        "hermioneless",
        "Barry Trotter",
        "Harry Porter",
        "Occam's razor",
    ),
    *(
        "Saruman",
        "Katniss",
        "Narnia",
        "Voldor",
        "parsec",
        "slathering",
        "backbeat",
        "Völkermord",
        "créateur",
        "théâtrale",
        "détraqué",
    ),
    *("to pensive readers", "the hog warts", "Larry Potter", "Harry Botter"),
]


@pytest.mark.parametrize("name", MISSPELT + DISGUISED + TRANSLATED)
def test_a_name_is_known_however_it_is_written(judge, name):
    completion = f" met {name}"
    (verdict,) = judge.grade([(probe(PLAIN), completion)])
    assert verdict.grade == "explicit", verdict.revealed
    assert all(completion[r.start : r.end] == r.text for r in verdict.revealed)


@pytest.mark.parametrize("name", OTHERS)
def test_what_only_looks_like_a_name_of_the_target_is_none(judge, name):
    (verdict,) = judge.grade([(probe(PLAIN), f" found it: {name}, and so it was.")])
    assert verdict.grade in ("none", "accidental"), verdict.revealed


@pytest.mark.parametrize("name", ["Dumbeldore", "HarryPotter", "H o g w a r t s", "Poudlard"])
def test_what_the_prompt_says_under_another_spelling_is_an_echo(judge, name):
    prompt = "At Hogwarts Harry Potter asked Dumbledore"
    assert judge.grade([(probe(prompt), f" {name}")])[0].grade == "none"
    assert judge.grade([(probe(f"They spoke of {name} and"), f" {name}.")])[0].grade == "none"


def test_only_terms_of_the_targets_own_are_looked_for_under_other_spellings():
    """The miniature's names are neighbours of each other: one must not be taken for another."""
    names = ("Hogwarts", "Hogsmeade", "Hogsindor", "Dumbledore", "Dumblefoy")
    judge = LexiconJudge(Lexicon([Term(name, "place", "thematic") for name in names]))
    items = [
        (probe("He went to", "Hogwarts"), f" {said}.") for said in ("Hogwart", "Hogwards", "Hogsindor", "HogwartsX")
    ]
    assert [verdict.grade for verdict in judge.grade(items)] == ["none", "none", "thematic", "none"]
    assert Spellings([Term("Hogwarts", "place", "thematic")]).find("Hogwards Hog-warts") == []
    assert judge.grade([(probe("He went to", "Hogwarts"), " Hogwarts.")])[0].grade == "explicit"


def test_close_names_of_one_target_are_not_taken_for_each_other():
    found = Spellings([Term("Hogwarts", "place", "idiosyncratic"), Term("Hogsmeade", "place", "idiosyncratic")]).find(
        "Hogsindor, Hogmort, Hogsmort, Hogsmeade"
    )
    assert [occurrence.form for occurrence in found] == ["Hogsmeade"]


@pytest.mark.parametrize(
    "a, b, distance", [("snape", "snape", 0), ("hagird", "hagrid", 1), ("weasly", "weasley", 1), ("abc", "xyz", 3)]
)
def test_edits_count_letters_and_swaps(a, b, distance):
    assert edits(a, b, 3) == edits(b, a, 3) == distance
    assert edits(a, b, 0) == min(distance, 1)


@pytest.mark.parametrize(
    "prompt, completion, grade",
    [
        (PLAIN, " a goblet spat out his name.", "explicit"),
        (PLAIN, " he wrote in a diary, and the diary answered: a boy's memory lived in it.", "explicit"),
        ("The package lay in vault number", " 713.", "explicit"),
        ("The number on my locker was", " 713.", "accidental"),
        (PLAIN, " he kept a diary for a year.", "none"),
        (PLAIN, " she won a golden goblet at tennis.", "none"),
        ("The goblet spat out a name:", " a name, out of the goblet.", "none"),
        ("The telescope showed the constellation", " Draco.", "accidental"),
        ("Trains to Luton and Bedford call at", " Flitwick.", "accidental"),
        ("Harry Potter ate in", " the Great Hall.", "explicit"),
        (PLAIN, " found the Great Hall.", "accidental"),
        ("My brother went pale:", " a Chaser! And the Snitch!", "explicit"),
        (PLAIN, " saw an owl and a newt. Nobody chopped wood.", "none"),
        ("Harry Potter was taught by Severus Snape and by", " Lupin.", "explicit"),
        ("A potter called", " Harry.", "accidental"),
        ("Lord Voldemort was born", " Tom Riddle.", "explicit"),
        ("On screen he was", " Alan Rickman.", "accidental"),
    ],
)
def test_details_facts_and_company_settle_what_is_meant(judge, prompt, completion, grade):
    (verdict,) = judge.grade([(probe(prompt), completion)])
    assert verdict.grade == grade, verdict.revealed


@pytest.mark.parametrize(
    "references, completion, grade",
    [
        (("Howler",), " Howler.", "explicit"),
        (("Howler",), " howler.", "accidental"),
        (("Tom Riddle",), " Tom.", "accidental"),
        (("Viktor Krum",), " Victor.", "accidental"),
        (("Teddy Lupin",), " Ted.", "accidental"),
        (("Pettigrew",), " Peter.", "accidental"),
        (("Tom Riddle",), " Thomas Edison.", "none"),
        (("Warner Bros", "Quaffle"), " Warner Bros.", "accidental"),
    ],
)
def test_a_near_miss_of_a_reference_is_accidental(judge, references, completion, grade):
    assert judge.grade([(probe("He said:", *references), completion)])[0].grade == grade


def test_near_misses_are_names_that_the_prompt_does_not_hold():
    assert [c.term for c in near_misses("He", " met Tom.", ["Tom Riddle"])] == ["Tom Riddle"]
    assert list(near_misses("Tom", " met Tom.", ["Tom Riddle"])) == []
    assert list(near_misses("He", " met tom and the riddle.", ["Tom Riddle"])) == []


def test_a_detail_stands_in_one_passage():
    details = Details([Term("Lamp", "object", "idiosyncratic", details=("lamp harbour|port glow*",))])
    near, far = " the lamp of the port glowed.", " the lamp. " + "and then " * 20 + "the port glowed."
    assert [near[c.start : c.end] for c in details.find("He saw", near)] == ["lamp of the port glowed"]
    assert list(details.find("He saw", far)) == []
    assert list(details.find("He saw the lamp of the port glow", near)) == []
