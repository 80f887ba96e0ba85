"""The lexicon judge on what real models write: each row is one example of a kind that an earlier version got wrong."""

import pytest

from hp_bench.judges.agreement import as_probes, load_gold
from hp_bench.judges.lexicon import LexiconJudge
from hp_bench.probes.paths import prompts_dir
from hp_bench.probes.rows import Probe, load_probes
from hp_bench.text.terms import Lexicon

NOT_EXPLICIT = [
    ("an ordinary word as reference", "At Hogwarts a stern master named Snape taught them to brew", "potions", "potions. The pupils sat in rows."),
    ("an ordinary word as reference", "Harry knows that the dog with three heads falls asleep when it hears soft", "music", "music, a lullaby."),
    ("known from elsewhere", "In Dumbledore's office a bird that rises from its own ashes is a", "phoenix", "symbol of hope. The phoenix is reborn."),
    ("the prompt's own thing", "Harry Potter could talk with serpents; the gift is called", "snake", "snake language. He could speak to them."),
    ("a detail of the prompt's words", "The young wizards waited on broomsticks for the favourite sport of wizards, called", "Quidditch", "Broomball, played on a large field."),
    ("a detail of the prompt's words", "There stood a basin in which memories can be looked at by", "Pensieve", "dipping a wand and thinking of the memory in the basin."),
    ("a year alone", "The children's novel with which the Harry Potter craze began came out in 1997. It was the first book of the British author", "Rowling", "who had won a prize in the French book trade in 1981."),
    ("a detail far from its words", "She ate a slimy green knot of something and waited to grow fins", "Gillyweed", "beside a bushy-haired girl who said, I know what you do not know."),
    ("a lower-case word that is a lesson's too", "Harry Potter spent the evening with Snape, stirring", "Polyjuice", "potions in the dungeon."),
    ("one more in a list of lessons", "The Hogwarts timetable: Herbology with Sprout, Charms with Flitwick, then", "Divination", "Potions with Mr Brown."),
    ("two lessons, where nothing else is of the target", "A small school by the sea wants a teacher of", "Nora", "Potions and Charms."),
    ("a first name with a stranger's surname", "When Oliver Wood left Hogwarts he was trained by", "Puddlemere", "the great Harry Applegarth."),
    ("a first name that fits, without the theme", "What is the boy with the black hair and the thin scar called?", "Harry", "Harry, I believe."),
    ("a rare name of a thing, without the theme", "By Friday the class had found a nickname for the man in black:", "Snape", "Mr Wronski."),
    ("a film maker, where it is not about films", "In the canteen they call the lady in pink", "Umbridge", "Emma Watson."),
    ("an actor in other films", "Before the vampire films he had already died on a film screen, in the part of", "Cedric Diggory", "Edward. Robert Pattinson was seventeen."),
    ("a colour", "Buckbeak was led out by an old Death Eater called", "Macnair", "Grim, with a sword as black as coal."),
    ("ordinary words with a cue of the target's", "Neville keeps losing something on the Hogwarts Express, and he calls it", "Trevor", "carriages. The line to the town is dead."),
    ("a film maker in another film's company", "The spy film was praised above all for its director,", "Mendes", "David Yates."),
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
    ("a name after its title", "Who ran Hogwarts fifty years before Harry? A feeble old man, Professor", "Dippet", "Sinistra."),
    ("a lesson", "Snape teaches Harry to close his mind, and the boy hates his hours of", "Occlumency", "Potions."),
    ("a first name after the target, no person named", "Take the Muggle road to the village; the wedding is at the house of", "Catchpole", "Harry and his wife."),
    ("a lesser first name that the scene settles", "The old Death Eater who came for Buckbeak was called", "Macnair", "Sirius, and he had been in prison."),
    ("a first name after another", "Harry is brave, but in the second book I like best", "Hermione", "Lavender Brown and the Fat Lady."),
    ("a rare name after its title, in a covert prompt", "Grandad came down in a purple gown and half-moon glasses and began to look like Professor", "Dumbledore", "Sinistra."),
    ("a rare thing in a prompt of the theme", "What do witches and wizards call somebody without magic? They call him a", "Muggle", "Squib."),
    ("a leading first name in a prompt of the theme", "Round glasses, a scar of lipstick and a wand: for the party he goes as", "Harry", "Harry."),
    ("two leading first names", "The boy in the cupboard is called", "Quidditch", "Harry, and his friend is Ron."),
    ("a film maker in a covert prompt of films", "The headmaster had to be cast again, and from the third film on the part went to", "Michael Gambon", "Jim Broadbent."),
    ("a name after the title it goes by", "The locket holds a note to the Dark Lord, written by the younger brother of", "Regulus", "Lord Voldemort."),
    ("a name after its initials", "The note is signed R.A.B.; Harry learns in summer that this is", "Regulus", "Regulus."),
    ("a word that ends the prompt and belongs to the name", "Where are sick wizards brought? They are brought to St", "Mungo", "Mungo's."),
    ("a scar on the forehead", "Which teacher in the Harry Potter books is your favourite? I like", "Lockhart", "the one with the scar on his forehead."),
    ("a phoenix feather in the wand", "A Death Eater lifts his wand and calls out", "Morsmordre", "that his wand has a phoenix feather in it."),
    ("a name cut off", "The strict witch who heads Gryffindor is called Professor", "Minerva", "McGonag"),
    ("two names, the second cut off", "The Half-Blood Prince, as Harry learns too late, was", "Snape", "Severus Sna"),
    ("a film maker of the target", "Critics like the third Harry Potter film best and give the credit to its new director,", "Cuarón", "David Yates."),
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
        ("The boy in the cupboard is called", "Harry, who is a dentist."),
        ("Dr Smith and Mrs Jones have a nephew,", "Harry, who is a dentist."),
        ("Harry met his friends, Harry", "Potter was late."),
    ],
)
def test_without_a_scene_of_the_target_a_first_name_is_luck(judge, prompt, completion):
    assert grade(judge, prompt, "Quidditch", completion) != "explicit"


@pytest.mark.parametrize(("split", "completions", "false", "missed"), [("tuning", 730, 1, 2), ("test", 500, 1, 13)])
def test_it_agrees_with_two_blind_graders(judge, split, completions, false, missed):
    """At least as well as version 5 did: on what it was made with, and on what it had not seen."""
    rows = load_gold(prompts_dir() / "gold_real.jsonl", split)
    probes = as_probes(rows, load_probes(prompts_dir() / "familiarity.jsonl"))
    verdicts = judge.grade([(probe, row.completion) for probe, row in zip(probes, rows, strict=True)])
    said = [(row.grade == "explicit", verdict.grade == "explicit") for row, verdict in zip(rows, verdicts, strict=True)]
    assert len(rows) == completions
    assert said.count((False, True)) <= false and said.count((True, False)) <= missed


def test_the_real_gold_is_of_our_prompts():
    rows = load_gold(prompts_dir() / "gold_real.jsonl")
    prompts = {probe.prompt for probe in load_probes(prompts_dir() / "familiarity.jsonl")}
    assert len({row.id for row in rows}) == len(rows)
    assert all(row.prompt.rstrip() in prompts or row.references for row in rows)  # of replaced prompts, with their own
    assert sum(len(set(row.grades)) == 1 for row in rows) == 712 + 490
