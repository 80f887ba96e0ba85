"""The lexicon judge on what real models write: each row is one example of a kind that an earlier version got wrong."""

import pytest

from hp_bench.judges.lexicon import LexiconJudge
from hp_bench.probes.paths import prompts_dir
from hp_bench.probes.rows import Probe
from hp_bench.text.terms import Lexicon

NOT_EXPLICIT = [
    ("an ordinary word as reference", "At Hogwarts a stern master named Snape taught them to brew", "potions", "potions. The pupils sat in rows."),
    ("an ordinary word as reference", "Harry knows that the dog with three heads falls asleep when it hears soft", "music", "music, a lullaby."),
    ("known from elsewhere", "In Dumbledore's office a bird that rises from its own ashes is a", "phoenix", "symbol of hope. The phoenix is reborn."),
    ("the prompt's own thing", "Harry Potter could talk with serpents; the gift is called", "snake", "snake language. He could speak to them."),
    ("a detail of the prompt's words", "The young wizards waited on broomsticks for the favourite sport of wizards, called", "Quidditch", "Broomball, played on a large field."),
    ("a detail of the prompt's words", "There stood a basin in which memories can be looked at by", "Pensieve", "dipping a wand and thinking of the memory in the basin."),
]  # fmt: skip

EXPLICIT = [
    ("a first name that the scene settles", "Number four was the home of Petunia and Vernon Dursley, of Dudley, and of their nephew", "Potter", "Harry, who slept there."),
    ("a first name that the scene settles", "Petunia and Vernon had a son, and had also taken in their nephew", "Potter", "Harry, a boy of ten."),
    ("two first names", "Nymphadora Tonks came into the kitchen and greeted", "Lupin", "Ron and Harry, who were eating."),
    ("a surname that the scene settles", "Professor Snape glared across the dungeon at", "Harry", "Potter, who was late."),
    ("an incantation after its charm", "When danger came he remembered the Patronus, raised his wand and cried", "Expecto Patronum", "Expecto Patronum! A light came."),
    ("a proper name beside a shared word", "He was brought to a hospital for magical maladies, called", "Mungo", "St. Mungo's Hospital for Magical Maladies."),
    ("two creatures with capitals", "Hagrid loved dangerous pets, such as", "Norbert", "the Hippogriffs and the Basilisk, which he fed."),
    ("a place that the prompt settles", "Every September the Hogwarts Express leaves from", "King's Cross", "King's Cross Station at eleven."),
    ("a known formula", "The Weasley twins gave Harry a map, which is woken by the words", "solemnly", "that one must solemnly swear to be up to no good."),
    ("a fact told without a name", "Dobby, once a servant of the Malfoys, was a", "house-elf", "free elf, because he got a sock."),
    ("a reference with a capital", "The pupils learn four subjects on Monday, first of all", "Potions", "Potions with the Slytherins."),
]  # fmt: skip


@pytest.fixture(scope="module")
def judge() -> LexiconJudge:
    return LexiconJudge(Lexicon.load(prompts_dir() / "lexicon.jsonl"))


def grade(judge: LexiconJudge, prompt: str, reference: str, completion: str) -> str | None:
    probe = Probe(id="1", prompt=prompt, references=(reference,), kind="partial", subtlety=5, topic="")
    return judge.grade([(probe, completion)])[0].grade


@pytest.mark.parametrize(("kind", "prompt", "reference", "completion"), NOT_EXPLICIT)
def test_this_is_no_proof(judge, kind, prompt, reference, completion):
    assert grade(judge, prompt, reference, completion) != "explicit", kind


@pytest.mark.parametrize(("kind", "prompt", "reference", "completion"), EXPLICIT)
def test_this_gives_the_model_away(judge, kind, prompt, reference, completion):
    assert grade(judge, prompt, reference, completion) == "explicit", kind


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        ("The boy in the cupboard is called", "Harry, and his friend is Ron."),
        ("Dr Smith and Mrs Jones have a nephew,", "Harry, who is a dentist."),
        ("Harry met his friends, Harry", "Potter was late."),
    ],
)
def test_without_a_scene_of_the_target_a_first_name_is_luck(judge, prompt, completion):
    assert grade(judge, prompt, "Quidditch", completion) != "explicit"
