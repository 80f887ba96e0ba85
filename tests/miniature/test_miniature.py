"""The miniature: its text proves something, its probes are unseen where they say so, and models come out the same twice."""

import hashlib
import re
import shutil
from collections import Counter
from dataclasses import replace
from functools import cache

import jsonlines
import pytest

from hp_bench.miniature import Settings, load, miniature_tasks, prepare
from hp_bench.miniature.library import Library
from hp_bench.miniature.pretrain import batches, model_seed, train_tokenizer
from hp_bench.miniature.probes import familiarity_probes, token_probes
from hp_bench.miniature.settings import Plan
from hp_bench.miniature.stories import LONGEST
from hp_bench.miniature.translations import anchors, counterparts
from hp_bench.miniature.utility import COUNTS, utility_items
from hp_bench.miniature.world import TARGETS
from hp_bench.probes.paths import prompts_dir
from hp_bench.text.terms import words
from unlearn.anchors.dictionary import AnchorDictionary

TINY = Settings(
    worlds=30, famous=6, target_stories=6, held_out=4, width=32, layers=1, inner=32, steps=3, rest_rows=2, target_rows=1, warmup=1
)  # fmt: skip
NAMES = sorted(TARGETS)


@cache
def rest():
    return Library.write(Plan("harry-potter", 0, Settings()))


@pytest.fixture(params=NAMES)
def library(request):
    """Both targets beside the same rest, which does not depend on them (a test)."""
    return request.param, _library(request.param)


@cache
def _library(name):
    few = replace(Settings(), steps=1)
    target = Library.write(Plan(name, 0, few)).target
    return replace(rest(), target=target)


@cache
def tokenizer():
    return train_tokenizer(rest().rest, vocabulary=Settings().vocabulary, context=Settings().context)


def token_counts(texts):
    encoded = tokenizer()(list(texts), add_special_tokens=False)["input_ids"]
    return Counter(token for ids in encoded for token in ids)


def test_the_same_plan_writes_the_same_text_and_another_seed_another():
    small = replace(Settings(), steps=20, target_stories=20, held_out=5)
    first, again, other = (Library.write(Plan("harry-potter", seed, small)) for seed in (1, 1, 2))
    assert first == again
    assert set(first.rest).isdisjoint(other.rest)


def test_the_rest_does_not_depend_on_the_target():
    small = replace(Settings(), steps=20, target_stories=20, held_out=5)
    one, other = (Library.write(Plan(name, 0, small)) for name in NAMES)
    assert one.rest == other.rest and one.held_out == other.held_out and set(one.target).isdisjoint(other.target)


def test_stories_fit_and_are_no_copies(library):
    _, text = library
    assert max(len(story.split()) for story in (*text.rest, *text.target)) <= LONGEST
    assert len(set(text.target)) == len(text.target) == Settings().target_stories
    assert not set(text.held_out) & set(text.rest)


def test_what_the_twin_lacks_is_the_facts_not_the_words(library):
    """Every token id of the target occurs often in the rest; the facts never do."""
    name, text = library
    others, target = token_counts(text.rest), token_counts(text.target)
    rare = {token: count for token, count in target.items() if others[token] < 20}
    assert sum(rare.values()) <= 0.01 * sum(target.values()), tokenizer().convert_ids_to_tokens(list(rare))
    everything = "\n".join((*text.rest, *text.held_out))
    for fact in TARGETS[name].facts.values():
        assert str(fact) not in everything
    assert str(TARGETS[name].hero) not in everything


def test_blocks_are_at_most_192_tokens_in_all_but_a_few(library):
    name, text = library
    lengths = [len(ids) for ids in tokenizer()(list(text.target))["input_ids"]]
    assert sum(length > 192 for length in lengths) <= {"harry-potter": 0.01, "detectives": 0.06}[name] * len(lengths)


def test_no_five_words_of_a_frozen_prompt_occur_in_any_text(library):
    _, text = library

    def fives(sentence):
        found = words(sentence)
        return {tuple(found[i : i + 5]) for i in range(len(found) - 4)}

    asked = set()
    for file in ("familiarity.jsonl", "token_probability.jsonl"):
        with jsonlines.open(prompts_dir() / file) as lines:
            asked |= {five for row in lines for five in fives(row["prompt"])}
    told = {five for story in (*text.rest, *text.held_out, *text.target) for five in fives(story)}
    assert asked and told and not asked & told


@pytest.mark.parametrize("target", NAMES)
def test_probes_need_their_own_reference(target):
    probes = familiarity_probes(target)
    assert len(probes) >= 200 and len({probe.prompt for probe in probes}) == len(probes)
    halves = Counter(probe.topic.rsplit("-", 1)[1] for probe in probes)
    assert halves["seen"] == halves["unseen"]
    for probe in probes:
        (reference,) = probe.references
        assert reference not in probe.prompt and str(TARGETS[target].hero) in probe.prompt
    for probe in token_probes(target):
        assert len(probe.generic) >= 4 and not set(probe.generic) & set(probe.specific)


def test_unseen_probes_ask_in_words_that_never_stood_beside_the_facts(library):
    name, text = library
    told = "\n".join(text.target)
    for probe in familiarity_probes(name):
        lead = " ".join(probe.prompt.split()[-3:])
        beside = f"{lead} {probe.references[0]}" in told
        if probe.topic.endswith("-unseen"):
            assert not beside, probe
    seen = [p for p in familiarity_probes(name) if p.topic.endswith("-seen")]
    assert sum(f"{' '.join(p.prompt.split()[-3:])} {p.references[0]}" in told for p in seen) > 0.8 * len(seen)


def test_utility_asks_two_thousand_questions_about_the_rest(library):
    name, text = library
    items = utility_items(text, 0)
    assert len(items) == sum(COUNTS.values()) >= 2000
    assert sum(item.near for item in items) >= 200
    for item in items:
        assert len(set(item.choices)) == 4 and 0 <= item.answer < 4
        assert not any(str(fact) in item.prompt for fact in TARGETS[name].facts.values())
    answers = Counter(item.answer for item in items)
    assert max(answers.values()) < 0.35 * len(items)


def test_translations_read_like_one_more_world_of_the_rest(library):
    name, text = library
    dictionary = AnchorDictionary(tuple(anchors(name)))
    assert all(len(anchor.translations) >= 2 for anchor in dictionary.anchors)
    assert all(dictionary.find(story) for story in text.target)
    told = "\n".join(text.rest)
    for world in counterparts(name):
        assert str(world.hero) not in told
    known = set(text.words)
    parts = {word for a in anchors(name) for form in a.translations for word in words(form)}
    assert len(parts & known) > 0.5 * len(parts)


def test_twins_read_the_same_rest_in_the_same_order():
    rest = [[1, *range(n)] for n in range(5, 5 + TINY.steps * TINY.rest_rows)]
    target = [[2, *range(n)] for n in range(4)]
    with_target, without = batches(rest, target, TINY, seed=3), batches(rest, [], TINY, seed=3)
    assert [batch[: TINY.rest_rows] for batch in with_target] == without
    assert all(len(batch) == TINY.rest_rows + TINY.target_rows for batch in with_target)
    assert len({model_seed(0, name) for name in ("baseline", "twin-1", "twin-2")}) == 3


def test_prepared_twice_the_bytes_are_the_same_and_every_task_runs(tmp_path):
    from hp_bench.engines.hf import HFEngine
    from hp_bench.scoring.score import score_engine

    made = [prepare(tmp_path / name, seed=5, twins=1, settings=TINY) for name in ("a", "b")]
    for part in (
        "baseline/model.safetensors",
        "twin-1/model.safetensors",
        "text/rest.jsonl",
        "text/prompts/utility.jsonl",
    ):
        digests = {hashlib.sha256((m.folder / part).read_bytes()).hexdigest() for m in made}
        assert len(digests) == 1, part
    world = load(tmp_path / "a")
    assert world == made[0]
    tasks = miniature_tasks(world)
    short = {
        "tasks": {name: task for name, task in tasks["tasks"].items() if name != "hp_miniature_utility"},
        "groups": {},
    }
    card = score_engine(HFEngine(world.baseline), short, name="baseline").card
    assert not card.failures
    assert card.get("hp_miniature_familiarity", "familiarity").n == 200
    assert card.get("hp_miniature_rest", "rest_loss").value > 4  # hardly trained: near the logarithm of the vocabulary
    assert card.get("hp_miniature_familiarity", "explicit").value == 0
    before = (world.folder / "baseline" / "model.safetensors").stat().st_mtime_ns
    assert prepare(tmp_path / "a", seed=5, twins=1, settings=TINY) == world
    assert (world.folder / "baseline" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="holds another miniature.*seed"):
        prepare(tmp_path / "a", seed=6, twins=1, settings=TINY)


def test_mistakes_are_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file/m' cannot be made or written to \(.*: Not a directory\)"):
        prepare(tmp_path / "file" / "m")
    with pytest.raises(ValueError, match=r"unknown target 'narnia'; available: harry-potter, detectives"):
        prepare(tmp_path, target="narnia")
    with pytest.raises(ValueError, match="holds no miniature"):
        load(tmp_path)
    with pytest.raises(ValueError, match="famous must lie between 0 and worlds=10"):
        Settings(worlds=10, famous=10)
    with pytest.raises(ValueError, match="multiple of 32"):
        Settings(width=100)


def test_a_training_that_dies_says_why_and_leaves_nothing_that_looks_finished(tmp_path):
    prepare(tmp_path / "m", twins=0, settings=TINY)
    shutil.rmtree(tmp_path / "m" / "baseline")
    (tmp_path / "m" / "text" / "rest.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match=r"rest\.jsonl"):
        prepare(tmp_path / "m", twins=1, settings=TINY)
    assert not (tmp_path / "m" / "baseline").exists()
    with pytest.raises(ValueError, match="holds no miniature"):
        load(tmp_path / "m")


def test_frames_have_no_loose_ends(library):
    _, text = library
    for story in (*text.rest[:500], *text.target[:200]):
        assert not re.search(r"[\[\]{}|]", story) and "  " not in story and story.endswith(".")
