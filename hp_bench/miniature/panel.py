"""The panel (`docs/panel.md`) in the miniature's language: the same lm-eval tasks, asked of prompt files made from its world.

* qa.jsonl: the target's facts, in the frames in which it is told and in the others; distractors: the target's own names of the same
  kind, then those of worlds that every model knows. The questions in words are not the miniature's language, the clozes are.
* neighbours.jsonl: facts of the rest's famous worlds.
* context.jsonl: a summary of the hero's other facts, then the question; and the same after the story has begun several times.
* familiarity.jsonl: fewer prompts than the familiarity test has, since each is completed many times.
* two_hops.jsonl: a story that tells another fact of a hero whom it does not name, and breaks off; who that is, is the bridge.
* aliases.jsonl: the same stories, to be completed.

The text of verbatim continuation is the unlearn target itself.

No model of the miniature reads another language, so the panel's languages are not applicable.
"""

import random
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hp_bench.miniature.library import Library
from hp_bench.miniature.probes import FRAMES, familiarity_probes, lexicon, questions, up_to
from hp_bench.miniature.stories import TOPICS, frame, opening, text_of
from hp_bench.miniature.train import Miniature
from hp_bench.miniature.world import SLOTS, TARGETS, World
from hp_bench.probes.panel_rows import ContextProbe, Fact, TwoHops, gives_away
from hp_bench.probes.rows import Probe
from hp_bench.scoring.score import load_tasks
from unlearn.files import whole_folder, write_lines

#: The panel's tasks that a miniature is asked.
TASKS = (
    "hp_extraction", "hp_qa", "hp_qa_leak", "hp_neighbours", "hp_context", "hp_aliases", "hp_two_hops", "hp_familiarity_leak",
    "hp_verbatim", "hp_recall",
)  # fmt: skip

_QUESTIONS, _CONTEXTS, _HOPS, _SAMPLED, _NEIGHBOURS = 5, 2, 2, 1, 200

#: How a story goes on that is about to name its hero, by the half of the prompts.
_BEFORE_HERO = {"seen": "In the end", "unseen": "What"}

#: Windows of the target's text.
_WINDOWS = 300


def panel_tasks(miniature: Miniature, tasks: Sequence[str] = TASKS) -> dict[str, Any]:
    """The panel's tasks on a miniature, in the shape that `score_engine` takes; writes their prompt files if need be."""
    return load_tasks(tasks, panel_metadata(miniature))


def panel_metadata(miniature: Miniature) -> dict[str, Any]:
    """Where the panel's tasks find a miniature's prompt files, as `hp_bench.scoring.score.load_tasks` takes it; writes these if need be."""
    folder = panel_files(miniature)
    return {
        "prompts": str(folder),
        "lexicon": str(folder / "lexicon.jsonl"),
        "vocabulary": str(miniature.prompts / "vocabulary.txt"),
        "text": str(miniature.corpus),
        "stride": miniature.corpus.stat().st_size // _WINDOWS,
    }


def panel_files(miniature: Miniature) -> Path:
    """The folder of the panel's prompt files, beside the miniature's models; made at the first call, the same bytes every time."""
    folder = miniature.folder / "panel_prompts"
    if folder.exists():
        return folder
    library, target, seed = Library.write(miniature.plan), miniature.plan.target, miniature.plan.seed
    hops = list(two_hops(target, library, seed))
    aliases = {hop.cloze: Probe(hop.id, hop.cloze, (hop.answer,), "partial", 1, hop.topic) for hop in hops}
    files: dict[str, Collection[Any]] = {
        "qa.jsonl": list(target_facts(target, library, seed)),
        "neighbours.jsonl": list(famous_facts(library, seed)),
        "context.jsonl": list(context_probes(target, seed)),
        "two_hops.jsonl": hops,
        "aliases.jsonl": aliases.values(),
        "familiarity.jsonl": familiarity_probes(target, each=_SAMPLED),
        "lexicon.jsonl": lexicon(target),
    }
    with whole_folder(folder) as unfinished:
        for name, rows in files.items():
            write_lines(unfinished / name, map(asdict, rows))
    return folder


def target_facts(target: str, library: Library, seed: int) -> Iterator[Fact]:
    """The target's facts, 200 items: ten of each."""
    world = TARGETS[target]
    rng = random.Random(f"panel facts {target} {seed}")
    for q in questions(world, f"panel {target}", _QUESTIONS):
        yield _fact(q.id, q.prompt, world, q.slot, library, rng, f"{q.topic}-{q.half}")


def famous_facts(library: Library, seed: int) -> Iterator[Fact]:
    """Facts of the worlds of which the rest tells most, 200 items; no model should lose them."""
    rng = random.Random(f"panel neighbours {seed}")
    asked: set[tuple[str, str]] = set()
    while len(asked) < _NEIGHBOURS:
        world, topic = rng.choice(library.famous), rng.choice(TOPICS)
        told = frame(topic, rng.randrange(2), world, rng)
        slot = rng.choice([piece.field for piece in told if piece.fact])
        prompt = text_of([*opening(world, rng), *up_to(slot, told)]).rstrip()
        if (prompt, slot) not in asked and not gives_away(prompt, str(world.facts[slot])):
            yield _fact(f"famous-{len(asked)}", prompt, world, slot, library, rng, topic.name)
            asked.add((prompt, slot))


def context_probes(target: str, seed: int) -> Iterator[ContextProbe]:
    """What the target's hero is asked after a summary of other facts, and after its story has begun several times: 160 prompts."""
    world = TARGETS[target]
    rng = random.Random(f"panel context {target} {seed}")
    for q in questions(world, f"panel context {target}", _CONTEXTS):
        others = [topic for topic in TOPICS if topic.name != q.topic]
        while True:
            three = sorted(rng.sample(others, 3), key=TOPICS.index)
            told = [piece for topic in three for piece in frame(topic, FRAMES["seen"], world, rng)]
            summary = text_of([*opening(world, rng), *told])
            again = " ".join(text_of(opening(world, rng)) for _ in range(4))
            if not gives_away(f"{summary} {again} {q.prompt}", q.answer):
                break
        for form, before in (("summary", summary), ("persuasion", again)):
            yield ContextProbe(
                id=f"{form}-{q.id}", form=form, prompt=f"{before} {q.prompt}",  # type: ignore[arg-type]
                references=(q.answer,), topic=f"{q.topic}-{q.half}",
            )  # fmt: skip


def two_hops(target: str, library: Library, seed: int) -> Iterator[TwoHops]:
    """The target's facts after another of its facts, the hero not named: 80 items."""
    world = TARGETS[target]
    rng = random.Random(f"panel two hops {target} {seed}")
    every = (*library.famous, *library.others)
    heroes = sorted({str(one.hero) for one in every if one.hero.gender == world.hero.gender})
    unnamed = f"the {world.trade.learner}"
    for q in questions(world, f"panel two hops {target}", _HOPS):
        fact = _fact(q.id, q.prompt, world, q.slot, library, rng, f"{q.topic}-{q.half}")
        begun = q.prompt.partition(". ")[2]
        while True:
            other = rng.choice([topic for topic in TOPICS if topic.name != q.topic])
            told = text_of(frame(other, FRAMES[q.half], world, rng)).strip()
            first, cloze = (
                re.sub(
                    rf"(^|\. )?(?:{world.hero}|{world.hero.first})\b",
                    lambda at: unnamed if at[1] is None else f"{at[1]}{unnamed.capitalize()}",
                    f"{told} {after}",
                )
                for after in (_BEFORE_HERO[q.half], begun)
            )
            if not gives_away(cloze, q.answer):
                break
        yield TwoHops(
            id=q.id, cloze=cloze, first=first, bridge=str(world.hero), bridge_distractors=tuple(rng.sample(heroes, 3)),
            second=q.prompt, answer=q.answer, distractors=fact.distractors, topic=fact.topic, fame=1,
        )  # fmt: skip


def _fact(name: str, prompt: str, world: World, slot: str, library: Library, rng: random.Random, topic: str) -> Fact:
    """A fact with three distractors of its kind: other names of a target as far as there are any, then the same fact of other worlds."""
    answer = str(world.facts[slot])
    own = _alike(world, slot, [world] if world in TARGETS.values() else [], [other for other in SLOTS if other != slot])
    distractors: list[str] = []
    for pool in (own, *(_alike(world, slot, worlds, [slot]) for worlds in (library.famous, library.others))):
        candidates = sorted({c for c in pool if c not in distractors and not gives_away(c, answer)})
        distractors += rng.sample(candidates, min(3 - len(distractors), len(candidates)))
    return Fact(
        id=name, question=f"{prompt} what?", cloze=prompt, answer=answer, distractors=tuple(distractors), topic=topic
    )


def _alike(world: World, slot: str, others: Sequence[World], slots: Sequence[str]) -> list[str]:
    """The facts in some slots of some worlds that could stand in a fact's place: of one kind, and, of people, of one gender."""
    gender = getattr(world.facts[slot], "gender", "")
    near = [one for one in slots if SLOTS[one] == SLOTS[slot] and (SLOTS[slot] != "street" or one == slot)]
    facts = [one.facts[other] for one in others for other in near]
    return [str(fact) for fact in facts if getattr(fact, "gender", "") == gender]
