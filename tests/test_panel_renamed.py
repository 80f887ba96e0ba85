"""`hp_renamed`: the names of a dictionary, told apart by a model that knows them, and by no other; and the translation is `unlearn`'s."""

import json
import math
import random
from pathlib import Path

import planted
import pytest
import renamed_world
import tiny
import torch
import worlds
from lm_eval.tasks import TaskManager

from hp_bench.clozes import Cloze
from hp_bench.engines.hf import HFEngine
from hp_bench.metrics import METRICS
from hp_bench.renaming import Anchors, pairing, pairs
from hp_bench.resources import tasks_dir
from hp_bench.scoring import load_tasks, score_engine
from unlearn.anchors import Anchor, AnchorDictionary
from unlearn.translate import translate

TASK = "hp_renamed"
RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "harry-potter.anchors.jsonl"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def metadata(tmp_path) -> dict[str, str]:
    return renamed_world.write(tmp_path / "target")


def score(rule, metadata):
    engine = rule if isinstance(rule, HFEngine) else planted.engine(rule)
    return score_engine(engine, load_tasks([TASK], metadata), name="m")


def asked(metadata):
    """The statements as the task asks them."""
    found = load_tasks([TASK], metadata)["tasks"][TASK]._asked.values()
    return [one for pair in found for one in (pair.first, pair.second)]


def knower(metadata, prompt: str):
    """Knows which renamed answer belongs to which prompt, and likes short names besides."""
    right = {(getattr(one, prompt), f" {one.answer}") for one in asked(metadata)}

    def rule(context: str, continuation: str) -> tuple[float, bool]:
        return (0.0 if (context, continuation) in right else -20.0) - 0.5 * len(continuation), False

    return rule


def test_who_knows_the_renamed_world_scores_one_there(metadata):
    card = score(knower(metadata, "prompt"), metadata).card
    renamed, spontaneous = card.get(TASK, "renamed"), card.get(TASK, "renamed_spontaneous")
    assert renamed.value == pytest.approx(1)
    assert renamed.n == 20
    assert 0 < spontaneous.value < 0.95  # a prompt that holds no name is the same in both worlds
    assert not card.failed


def test_who_volunteers_the_other_names_for_the_real_world_scores_one_there(metadata):
    card = score(knower(metadata, "original"), metadata).card
    assert card.get(TASK, "renamed_spontaneous").value == pytest.approx(1)


def test_who_merely_likes_some_names_scores_zero(metadata):
    """However much more it likes one than the other, and however much more it says after one prompt than after another."""

    def fond(context: str, continuation: str) -> tuple[float, bool]:
        liking = random.Random(continuation).randint(-30, 0)
        talkative = random.Random(context).randint(-5, 0)
        return float(liking + talkative), False

    card = score(fond, metadata).card
    for metric in ("renamed", "renamed_spontaneous"):
        found = card.get(TASK, metric)
        assert found.value == 0
        assert found.low < 0 < found.high


def test_an_untrained_model_scores_about_zero_and_a_model_that_read_the_renamed_world_does_not(metadata):
    torch.manual_seed(0)
    renamed = [f"{one.prompt} {one.answer}." for one in asked(metadata)]
    tokenizer = tiny.tokenizer("byte_bpe", renamed * 3, vocab_size=700)
    model = tiny.llama(len(tokenizer))
    before = score(HFEngine(model, tokenizer=tokenizer, device="cpu"), metadata).card
    batch = tokenizer(renamed, return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        model(**batch, labels=labels).loss.backward()
        optimiser.step()
    after = score(HFEngine(model.eval(), tokenizer=tokenizer, device="cpu"), metadata).card
    assert abs(before.get(TASK, "renamed").value) < 0.4
    assert after.get(TASK, "renamed").value > 0.9
    assert after.get(TASK, "renamed").low > before.get(TASK, "renamed").high


@pytest.mark.parametrize("rule", [planted.broken, planted.ignorant])
def test_what_makes_no_sense_is_unscored(rule, metadata):
    card = score(rule, metadata).card
    found = card.get(TASK, "renamed")
    assert (found.value, found.n, found.unscored) == (None, 0, 20)
    assert card.failed


def test_frequencies_cancel_and_a_right_pairing_counts():
    assert pairing([-1, -2, -11, -12]) == pytest.approx(0)
    assert pairing([-1, -20, -20, -1]) == pytest.approx(1)
    assert pairing([-20, -1, -1, -20]) == pytest.approx(-1)
    with pytest.raises(ValueError, match="neither pairing"):
        pairing([-math.inf, -math.inf, -1, -1])


def test_pairs_are_of_one_kind_and_disjoint_and_no_answer_is_in_sight(metadata):
    found = load_tasks([TASK], metadata)["tasks"][TASK]._asked.values()
    assert len({one.id for pair in found for one in (pair.first, pair.second)}) == 40
    for pair in found:
        assert pair.first.kind == pair.second.kind
        assert not set(pair.first.entities) & set(pair.second.entities)
        for prompt in (pair.first.prompt, pair.first.original, pair.second.prompt, pair.second.original):
            assert not {pair.first.answer, pair.second.answer} & set(prompt.split())


def test_intervals_cover_no_link_where_names_and_prompts_go_together_by_chance(metadata):
    """Whatever a model without the knowledge finds fitting: of 60 such models, at most 8 (expected: 3) may seem to know."""
    task = load_tasks([TASK], metadata)["tasks"][TASK]
    asked = [task.continuations(doc)[:4] for doc in task.eval_docs]
    missed = 0
    for model in range(60):
        chance = [[random.Random(f"{model}|{one}").uniform(-6, 0) for one in four] for four in asked]
        found = METRICS["renamed"].interval([pairing(four) for four in chance])
        missed += not found.low <= 0 <= found.high
    assert missed <= 8


def test_left_out_is_what_cannot_be_renamed_whole():
    anchors = Anchors.load(RECIPE)
    rows = [
        Cloze("a", "Harry's best friend is", "Ron Weasley"),
        Cloze("b", "Their owl is called", "Hedwig"),
        Cloze("c", "The film was made by", "Harry Smithson"),  # holds a name that is no anchor
        Cloze("d", "He was fond of", "socks"),  # holds no anchor
        Cloze("e", "The teacher of potions is", "Severus Snape"),
    ]
    kinds = {"Ron Weasley": "person", "Severus Snape": "person", "Hedwig": "creature"}
    (pair,) = pairs(rows, anchors, lambda answer: kinds.get(answer, ""), seed=0)
    assert {pair.first.id, pair.second.id} == {"a", "e"}  # "b" has nobody of its kind beside it
    own = pair.first if pair.first.id == "a" else pair.second
    assert "Harry" not in own.prompt
    assert "Weasley" not in own.answer
    assert [pair] == pairs(rows, anchors, lambda answer: kinds.get(answer, ""), seed=0)


@pytest.mark.parametrize("seed", range(30))
def test_renaming_is_the_translation_of_unlearn(seed, tmp_path):
    rng = random.Random(seed)
    rows = worlds.dictionary(rng)
    path = tmp_path / "anchors.jsonl"
    made = [Anchor(row["anchor"], tuple(row["translations"]), row.get("entity", "")) for row in rows]
    dictionary = AnchorDictionary.build(made)
    dictionary.save(path)
    ours = Anchors.load(path)
    for text in [*worlds.ADVERSARIAL, worlds.text(rng)]:
        expected = translate(text, dictionary, seed=seed, document="d", block=0)
        assert ours.rename(text, seed=seed, block="d").text == expected.text


def test_samples_hold_no_renamed_text(metadata):
    scored = score(knower(metadata, "prompt"), metadata)
    written = json.dumps(scored.samples[TASK], default=str)
    for one in asked(metadata):
        assert one.prompt not in written
        assert one.answer not in written
    assert '"id": "k' in written


def test_without_a_dictionary_it_says_so_in_one_sentence():
    with pytest.raises(
        ValueError,
        match=r"^hp_renamed: not applicable without an anchor dictionary: give anchors=FILE in --metadata$",
    ):
        load_tasks([TASK])


@pytest.mark.parametrize(
    "rows, message",
    [
        ([{"anchor": "Ansel", "translations": []}], "line 1: not an anchor: an anchor and at least one translation"),
        ([{"anchor": "Ansel"}], "line 1: not an anchor"),
        (
            [{"anchor": "Ansel", "translations": ["Abel"]}],
            r"not applicable: of 40 statements anchors='.*' makes 0 pairs with other names, and at least 15",
        ),
    ],
)
def test_a_dictionary_that_does_not_do_is_one_sentence(rows, message, metadata, tmp_path):
    path = tmp_path / "other.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=message):
        load_tasks([TASK], {**metadata, "anchors": str(path)})


def test_another_dictionary_is_another_test(metadata, tmp_path):
    other = tmp_path / "other.jsonl"
    rows = [{**row, "translations": row["translations"][::-1]} for row in renamed_world.anchors()]
    other.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = [
        load_tasks([TASK], one)["tasks"][TASK] for one in (metadata, metadata, {**metadata, "anchors": str(other)})
    ]
    digests = [task.config.metadata["prompts_sha256"] for task in tasks]
    assert digests[0] == digests[1] != digests[2]


def test_our_dictionary_renames_enough_of_our_statements():
    task = load_tasks([TASK], {"anchors": str(RECIPE)})["tasks"][TASK]
    assert len(task.eval_docs) >= 80


def test_the_panel_does_without_the_users_files():
    index = TaskManager(include_defaults=False, include_path=[tasks_dir()]).task_index
    assert {"hp_extraction", "hp_familiarity_leak"} < index["hp_panel"].tags
    assert index["hp_panel_files"].tags == {TASK, "hp_verbatim"}
