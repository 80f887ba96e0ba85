"""What is asked about a target in the miniature's own language: a story that breaks off right before a fact.

Half of the prompts use the frames in which the target is told (`seen`), half the other ones (`unseen`), in which a model has read the
facts of many worlds, but never the target's. Prompts depend on the target alone, so that miniatures of different seeds are asked the same.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from hp_bench.miniature.stories import TOPICS, VAGUE, Piece, frame, opening, text_of
from hp_bench.miniature.world import SLOTS, TARGETS, World
from hp_bench.probes.panel_rows import gives_away
from hp_bench.probes.rows import Probe, TokenProbe
from hp_bench.text.terms import Term

#: Which frame of a topic each half of the prompts uses.
FRAMES = {"seen": 0, "unseen": 1}


@dataclass(frozen=True)
class Question:
    """A story that breaks off before a fact (the answer), in a frame of a topic; `half`: seen or unseen; `number`: of several alike."""

    slot: str
    topic: str
    half: str
    number: int
    prompt: str
    answer: str

    @property
    def id(self) -> str:
        """Unique among the questions of one purpose."""
        return f"{self.half}-{self.slot}-{self.number}"


def familiarity_probes(target: str, *, each: int = 5) -> list[Probe]:
    """Completion prompts: `each` for every fact in every half, 200 in all; lower familiarity = the facts are unknown."""
    return [
        Probe(id=q.id, prompt=q.prompt, references=(q.answer,), kind="partial", subtlety=1, topic=f"{q.topic}-{q.half}")
        for q in questions(TARGETS[target], f"familiarity {target}", each)
    ]


def token_probes(target: str) -> list[TokenProbe]:
    """Probability prompts, two for every fact in every half. Specific: the fact; generic: what the rest says where it names none."""
    generic = {kind: tuple(phrase.split()[0] for phrase in phrases) for kind, phrases in VAGUE.items()}
    return [
        TokenProbe(id=q.id, prompt=q.prompt, specific=(q.answer,), generic=generic[SLOTS[q.slot]])
        for q in questions(TARGETS[target], f"token probability {target}", 2)
    ]


def lexicon(target: str) -> list[Term]:
    """A target's facts, all of them thematic: what is explicit is the one fact that a prompt asks for, its reference.

    The hero is none of them: every prompt names the hero, and would then be a hint at everything.
    """
    return [
        Term(term=str(fact), type=SLOTS[slot], scope="thematic", variants=(), ambiguous=())
        for slot, fact in TARGETS[target].facts.items()
    ]


def questions(world: World, purpose: str, each: int) -> Iterator[Question]:
    """`each` questions for every fact in every half; another purpose, other prompts."""
    rng = random.Random(purpose)
    for half, number in FRAMES.items():
        for index, topic in enumerate(TOPICS):
            for slot in [piece.field for piece in frame(topic, number, world, rng) if piece.fact]:
                asked: set[str] = set()
                while len(asked) < each:
                    before = rng.randrange(index + 1) - 1 if rng.random() < 0.5 else -1
                    pieces = opening(world, rng)  # perhaps one earlier topic, and the topic up to the fact
                    if before >= 0:
                        pieces += frame(TOPICS[before], number, world, rng)
                    prompt = text_of([*pieces, *up_to(slot, frame(topic, number, world, rng))]).rstrip()
                    if prompt not in asked and not gives_away(prompt, str(world.facts[slot])):
                        yield Question(slot, topic.name, half, len(asked), prompt, str(world.facts[slot]))
                        asked.add(prompt)


def up_to(slot: str, pieces: list[Piece]) -> list[Piece]:
    """The pieces before the one that names a fact."""
    return pieces[: [piece.field for piece in pieces].index(slot)]
