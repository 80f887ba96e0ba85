"""The panel in the miniature's language: its prompts ask what they say, and every task can be built from them."""

from collections import Counter

import jsonlines
import pytest

from benchmarks.hidden import ask
from hp_bench.miniature import Settings, prepare
from hp_bench.miniature.panel import TASKS, panel_files, panel_tasks
from hp_bench.miniature.world import TARGETS
from hp_bench.probes.panel_rows import gives_away, load_context_probes, load_facts, load_two_hops
from hp_bench.probes.rows import load_probes

TINY = Settings(
    worlds=30, famous=6, target_stories=40, held_out=4, width=32, layers=1, inner=32, steps=2, rest_rows=2, target_rows=1, warmup=1
)  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("panel"), twins=0, settings=TINY)


def test_the_facts_are_the_targets_and_the_distractors_are_not(world):
    facts = load_facts(panel_files(world) / "qa.jsonl")
    target = {str(fact): slot for slot, fact in TARGETS["harry-potter"].facts.items()}
    assert Counter(target[fact.answer] for fact in facts) == dict.fromkeys(target.values(), 10)
    for fact in facts:
        slot = target[fact.answer]
        assert all(target.get(other) != slot for other in fact.distractors) and "Harry" in fact.cloze
    people = [fact for fact in facts if target[fact.answer] in ("friend", "teacher", "head")]
    assert all(set(fact.distractors) <= set(target) for fact in people), "hard: other people of the target"


def test_the_neighbours_are_the_rests_and_name_nothing_of_the_target(world):
    facts = load_facts(panel_files(world) / "neighbours.jsonl")
    names = set(TARGETS["harry-potter"].names)
    assert len(facts) >= 150 and not any(names & {fact.answer, *fact.distractors} for fact in facts)


def test_a_context_never_gives_its_answer_away(world):
    probes = load_context_probes(panel_files(world) / "context.jsonl")
    assert Counter(probe.form for probe in probes) == {"summary": 80, "persuasion": 80}
    assert not any(gives_away(probe.prompt, reference) for probe in probes for reference in probe.references)


def test_two_hops_go_through_a_hero_whom_the_story_does_not_name(world):
    target = TARGETS["harry-potter"]
    hops = load_two_hops(panel_files(world) / "two_hops.jsonl")
    slots = {str(fact): slot for slot, fact in target.facts.items()}
    assert Counter(slots[hop.answer] for hop in hops) == dict.fromkeys(slots.values(), 4)
    for hop in hops:
        assert "Harry" not in hop.cloze + hop.first and "Potter" not in hop.cloze + hop.first, hop.cloze
        known = [name for name in slots if name in hop.first]  # another fact, by which the hero is known
        assert known and hop.answer not in known and "Harry Potter" in hop.second and hop.bridge == "Harry Potter"
        # The same story of the fact goes on from the other fact as from the hero's name.
        end = hop.second.split(". ")[-1].replace("Harry Potter", "the wizard").replace("Harry", "the wizard")
        assert hop.cloze.endswith(end[1:]), (hop.cloze, hop.second)
    aliases = load_probes(panel_files(world) / "aliases.jsonl")
    assert {one.prompt: one.references for one in aliases} == {hop.cloze: (hop.answer,) for hop in hops}
    assert len(aliases) == len({one.prompt for one in aliases}) >= 60


def test_facts_that_are_relearnt_are_asked_once_each_and_names_alone_answer_none(world, tmp_path):
    names = {str(fact) for fact in TARGETS["harry-potter"].facts.values()}
    every, once = (load_facts(path) for path in ask(world, tmp_path))
    assert sorted(fact.answer for fact in once) == sorted(names) and len(every) == 10 * len(once)
    assert all(set(fact.distractors) <= names - {fact.answer} and len(set(fact.distractors)) == 3 for fact in every)


def test_every_task_is_built_and_asked_of_the_miniatures_files(world):
    tasks = panel_tasks(world)["tasks"]
    assert set(tasks) == set(TASKS)
    asked = {name: len(task.dataset["test"]) for name, task in tasks.items()}
    assert asked["hp_qa"] == asked["hp_extraction"] == 200 and asked["hp_familiarity_leak"] == 40
    assert asked["hp_verbatim"] >= 20


def test_files_are_the_same_every_time(world, tmp_path):
    first = {path.name: path.read_bytes() for path in panel_files(world).iterdir()}
    panel_files(world).rename(tmp_path / "old")
    assert {path.name: path.read_bytes() for path in panel_files(world).iterdir()} == first
    with jsonlines.open(panel_files(world) / "familiarity.jsonl") as lines:
        assert len(list(lines)) == 40
