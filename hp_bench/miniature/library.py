"""All text of a miniature: the rest, what is held out of it, and the unlearn target."""

import random
from dataclasses import dataclass, replace
from functools import cached_property

from hp_bench.miniature.names import built_words
from hp_bench.miniature.settings import Plan
from hp_bench.miniature.stories import story, text_of
from hp_bench.miniature.translations import counterparts
from hp_bench.miniature.world import TARGETS, TRADES, World, random_person, random_world, random_worlds, reserved
from hp_bench.text.terms import words

#: Worlds for questions; the namesakes' heroes bear the first name of a target's, where that is an ordinary one.
_STRANGERS, _NAMESAKES = 50, 10


@dataclass(frozen=True)
class Library:
    """Text, one string a story; the rest is the same whatever the target, so two miniatures of one seed have the same twins.

    Attributes:
        famous: the rest's worlds of which most stories are told; `others` are its other ones.
        strangers: worlds that no story tells of: for questions whose answers stand in the prompt.
        rest: stories to train on; `held_out`: of the same worlds, for measuring the loss.
        target: stories of the unlearn target.
    """

    famous: tuple[World, ...]
    others: tuple[World, ...]
    strangers: tuple[World, ...]
    rest: tuple[str, ...]
    held_out: tuple[str, ...]
    target: tuple[str, ...]

    @classmethod
    def write(cls, plan: Plan) -> "Library":
        """Writes the text of a plan; the same plan, the same text."""
        settings = plan.settings
        rng = random.Random(f"worlds {plan.seed}")
        taken = reserved() | {str(world.hero) for target in TARGETS for world in counterparts(target)}
        worlds = random_worlds(rng, settings.worlds, reserved=taken)
        taken |= {str(world.hero) for world in worlds}
        strangers = [*random_worlds(rng, _STRANGERS, reserved=taken), *_namesakes(rng, _NAMESAKES, taken)]
        famous, other, share = settings.famous, settings.worlds - settings.famous, settings.famous_share
        fame = [share / famous] * famous + [(1 - share) / other] * other  # how likely a story is of each world

        def told(purpose: str, count: int) -> tuple[str, ...]:
            rng = random.Random(f"{purpose} {plan.seed}")
            heroes = rng.choices(worlds, fame, k=count)
            return tuple(text_of(story(w, rng, frames=(0, 1), vague=settings.vague)) for w in heroes)

        rng = random.Random(f"target {plan.target} {plan.seed}")
        world = TARGETS[plan.target]
        target = [text_of(story(world, rng, frames=(0,))) for _ in range(settings.target_stories)]
        return cls(
            famous=tuple(worlds[:famous]),
            others=tuple(worlds[famous:]),
            strangers=tuple(strangers),
            rest=told("rest", settings.rest_stories),
            held_out=told("held out", settings.held_out),
            target=tuple(target),
        )

    @cached_property
    def words(self) -> list[str]:
        """Every word of the rest, folded and sorted: what is no noise in a completion."""
        return sorted({word for text in self.rest for word in words(text)})


def _namesakes(rng: random.Random, count: int, reserved: frozenset[str]) -> list[World]:
    ordinary = [world.hero for world in TARGETS.values() if not built_words(world.hero.first)]
    heroes = [replace(rng.choice(ordinary), last=random_person(rng, reserved).last) for _ in range(count)]
    free = [hero for hero in heroes if str(hero) not in reserved]
    return [random_world(rng, hero, rng.choice(TRADES), reserved=reserved) for hero in free]
