"""Models of which it is known what they know: twins that went on reading stories of the target, all of whose facts, a tenth or a third of
them, or none but the names, stand in the text.

A metric of knowledge must tell the first from the last: a model taught the *same names with the facts exchanged* has the vocabulary
and not the knowledge.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jsonlines
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from hp_bench.miniature.names import Person
from hp_bench.miniature.pretrain import train
from hp_bench.miniature.settings import Settings
from hp_bench.miniature.stories import VAGUE, story, text_of
from hp_bench.miniature.train import Miniature
from hp_bench.miniature.world import SLOTS, TARGETS, World

#: How a twin goes on: the rest beside the target, at a tenth of the first learning rate.
LESSONS = Settings(steps=80, rest_rows=4, target_rows=8, learning_rate=1.5e-3, warmup=10)


@dataclass(frozen=True)
class Pupil:
    """A model to be made.

    Attributes:
        share: of the twenty facts that its text tells as they are, 0 to 1; what it does not tell stays unnamed.
        permuted: whether the names stand at one another's places; then no fact is told as it is.
        seed: of the choice of facts, the text, and the order of batches.
    """

    share: float
    permuted: bool
    seed: int

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"permuted-{self.seed}" if self.permuted else f"knows-{round(100 * self.share)}-{self.seed}"


def told(world: World, pupil: Pupil, rng: random.Random) -> World:
    """The target as one story of a pupil's text tells it; facts that it does not tell have something vague in their place, drawn anew."""
    facts = dict(world.facts)
    if pupil.permuted:
        return replace(world, facts=exchanged(facts, random.Random(f"exchanged {pupil.seed}")))
    known = random.Random(f"known {pupil.seed}").sample(list(SLOTS), round(pupil.share * len(SLOTS)))
    vague = {slot: rng.choice(VAGUE[kind]) for slot, kind in SLOTS.items() if slot not in known}
    return replace(world, facts={**facts, **vague})


def exchanged(facts: dict[str, Person | str], rng: random.Random) -> dict[str, Person | str]:
    """The same names, none at its own place; people change places with people, things with things."""
    moved = dict(facts)
    for people in (True, False):
        slots = [slot for slot, fact in facts.items() if isinstance(fact, Person) is people]
        order = slots[:]
        while any(a == b for a, b in zip(slots, order, strict=True)):
            rng.shuffle(order)
        moved |= {slot: facts[other] for slot, other in zip(slots, order, strict=True)}
    return moved


def stories(target: str, pupil: Pupil, count: int) -> list[str]:
    """The pupil's text."""
    rng = random.Random(f"pupil {pupil.name}")
    world = TARGETS[target]
    return [text_of(story(told(world, pupil, rng), rng, frames=(0,))) for _ in range(count)]


def teach(miniature: Miniature, pupil: Pupil, out: Path, *, lessons: Settings = LESSONS) -> Path:
    """Trains a pupil, or takes the one that is there; on one thread, so that its bytes are the same every time."""
    if out.exists():
        return out
    twin = miniature.twins[pupil.seed % len(miniature.twins)]
    tokenizer = AutoTokenizer.from_pretrained(twin)
    model = LlamaForCausalLM.from_pretrained(twin, dtype=torch.float32)
    rng = random.Random(f"order {pupil.name}")
    with jsonlines.open(miniature.folder / "text" / "rest.jsonl") as lines:
        rest = rng.sample([row["text"] for row in lines], lessons.steps * lessons.rest_rows)
    target = stories(miniature.plan.target, pupil, lessons.steps * lessons.target_rows)

    def encoded(texts: Sequence[str]) -> list[list[int]]:
        return [[*ids, tokenizer.eos_token_id] for ids in tokenizer(list(texts))["input_ids"]]

    rows = [
        encoded(
            [
                *rest[step * lessons.rest_rows : (step + 1) * lessons.rest_rows],
                *target[step * lessons.target_rows : (step + 1) * lessons.target_rows],
            ]
        )
        for step in range(lessons.steps)
    ]
    for _ in train(model, rows, lessons):
        pass
    temporary = out.with_name(f".{out.name}.tmp")
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    temporary.rename(out)
    return out
