"""Several translations averaged, name swap, text of the rest beside generic labels, and the paper's method with parts left out."""

import json
import math
import random
from pathlib import Path

import oracle
import pytest
import tiny
import torch
from datasets import load_from_disk
from worlds import ADVERSARIAL, dictionary, text

from unlearn.anchors.dictionary import Anchor, AnchorDictionary
from unlearn.corpus.blocks import Block, encode
from unlearn.labels.labeller import Labeller
from unlearn.methods import run
from unlearn.models import load_model, load_tokenizer
from unlearn.pipeline import stages
from unlearn.pipeline.plan import plan
from unlearn.recipe import Recipe
from unlearn.settings import LabelSettings

ANCHORS = [
    {"anchor": "Nora", "translations": ["Ann", "Eve", "Mia"], "entity": "nora"},
    {"anchor": "Nora Quill", "translations": ["Ann Bell", "Eve Hart", "Mia Lund"], "entity": "nora"},
    {"anchor": "Captain Brandt", "translations": ["Captain Reed"]},
    {"anchor": "Port Ansel", "translations": ["the harbour", "a far town"]},
]
SMALL = {"batch_size": 4, "accumulation": 1, "learning_rate": 1e-3, "max_steps": 2, "save_every": 0}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("labels")
    tiny.save(root / "base", hidden=32)
    (root / "target.txt").write_text("\n".join(tiny.TEXT[:6]))
    (root / "rest.txt").write_text("\n".join(tiny.TEXT[3:6] * 2))
    (root / "anchors.jsonl").write_text("\n".join(map(json.dumps, ANCHORS)))
    return root


def recipe(place: Path, out: str, method: str = "whp", *, labels=None, **changes) -> Recipe:
    content = {
        "model": str(place / "base"), "corpus": str(place / "target.txt"), "anchors": str(place / "anchors.jsonl"), "out": str(place / out),
        "device": "cpu", "method": method, "labels": {"block_tokens": 32, "batch_blocks": 4, **(labels or {})}, "reinforce": SMALL,
        "finetune": SMALL,
    }  # fmt: skip
    return Recipe.build({**content, **changes})


def rows_of(made: Recipe) -> list[dict]:
    return list(load_from_disk(str(Path(made.out) / "labels")))


# ------------------------------------------------------------------------------------- several translations, literally


def averaged(
    source, rows, tokenizer, baseline, reinforced, *, readings, number, settings, frequent, alpha, document="doc"
):
    """Of each position that every reading labels: the mean over readings of softmax(v), as the oracle has v, in loops over the vocabulary.

    Reading n takes every entity's translation n places after the one drawn: the oracle's draw, from lists turned by n.
    """
    size = len(tokenizer)
    found = []
    for n in range(readings):
        turned = [{**row, "translations": [row["translations"][(k + n) % len(row["translations"])] for k in range(len(row["translations"]))]}
                  for row in rows]  # fmt: skip
        found.append(
            oracle.label_block(
                source, turned, tokenizer, baseline, reinforced, seed=settings.seed, document=document, block=number, alphas=[alpha],
                offset=settings.offset, logits=settings.logits, forbid=settings.forbid, repeats=settings.repeats, inside=settings.inside,
                frequent=frequent, top_k=size,
            )
        )  # fmt: skip
    means: list[list[float] | None] = []
    for t in range(len(found[0].input_ids)):
        if any(block.top_ids[t] is None for block in found):
            means.append(None)
            continue
        mean = [0.0] * size
        for block in found:
            largest = max(block.top_logits[t])
            weights = [math.exp(value - largest) for value in block.top_logits[t]]
            for token, weight in zip(block.top_ids[t], weights, strict=True):
                mean[token] += weight / sum(weights) / readings
        means.append(mean)
    return means


@pytest.mark.parametrize(
    ("family", "readings", "reinforce", "inside"),
    [
        ("byte_bpe", 3, True, False),
        ("unigram", 2, True, False),
        ("glue_bpe", 4, False, False),
        ("byte_bpe", 2, True, True),
    ],
)
def test_several_translations_are_averaged_as_distributions(family, readings, reinforce, inside):
    tokenizer = tiny.tokenizer(family, ADVERSARIAL + tiny.TEXT)
    baseline, strong = (tiny.llama(len(tokenizer), seed=seed, dtype=torch.float64, hidden=32) for seed in (1, 2))
    strong = strong if reinforce else None
    rng = random.Random(readings)
    rows = [*dictionary(rng), {"anchor": "owl", "translations": ["crow", "hen", "small brown dog"]}]
    sources = [text(rng, 12), "An owl, and an owl again: Nora's owl."]
    frequent = oracle.frequent_tokens(sources, tokenizer, 10)
    settings = LabelSettings(
        alphas=(2.0, 0.5), logits=rng.choice(["raw", "log_softmax"]), top_k=5, seed=3, translations=readings,
        **({"inside": True, "forbid": "rename", "repeats": "none"} if inside else {}),
    )  # fmt: skip
    anchors = AnchorDictionary(tuple(Anchor(r["anchor"], tuple(r["translations"]), r.get("entity", "")) for r in rows))
    labeller = Labeller(baseline, strong, tokenizer, anchors, settings, frequent=frozenset(frequent), row_bytes=60_000)
    batch = [Block("doc", n, 0, len(s), s, encode(tokenizer, [s])[0]) for n, s in enumerate(sources)]
    found, report = labeller(batch)
    kept = 0
    for number, (source, row) in enumerate(zip(sources, found, strict=True)):
        for column, alpha in (("labels", 2.0), ("labels_alpha_0.5", 0.5))[: 2 - number]:
            means = averaged(source, rows, tokenizer, baseline, strong, readings=readings, number=number, settings=settings,
                             frequent=frequent, alpha=alpha)  # fmt: skip
            for t, mean in enumerate(means):
                if mean is None:
                    assert row[column][t] == -100
                    continue
                ranked = sorted(range(len(mean)), key=lambda token: (-mean[token], token))
                assert row[column][t] == ranked[0]
                if column == "labels":
                    kept += 1
                    assert row["top_ids"][t] == ranked[:5]
                    assert row["top_logits"][t] == pytest.approx([math.log(mean[i]) for i in ranked[:5]], abs=1e-5)
    assert report.kept == kept > 20


def labelled(made: Recipe, name: str, reinforced: Path | None = None) -> Path:
    """The label stage alone."""
    target = stages.Target.open(made)
    return stages.label(made, target, stages.RunDirectory(made.out), reinforced, name=name)


def test_every_setting_of_labels_is_in_their_fingerprint(place):
    settings = {"soft": True, "top_k": 4, "use_reinforced": False}
    folder = labelled(recipe(place, "one", labels=settings), "some")
    written = json.loads((folder / "fingerprint.json").read_text())["labels"]
    assert written == {
        "alphas": [5.0], "batch_blocks": 4, "block_tokens": 32, "forbid": "frequent-excepted", "forbid_names": False, "inside": False, "logits": "raw",
        "offset": "relu", "repeats": "entity", "soft": True, "temperature": 1.0, "top_k": 4, "translations": 1, "use_anchors": True, "use_reinforced": False,
    }  # fmt: skip
    with pytest.raises(ValueError, match="labels.translations: 1 then, 2 now"):
        labelled(recipe(place, "one", labels={**settings, "translations": 2}), "some")
    with pytest.raises(ValueError, match="labels.inside: False then, True now"):
        labelled(recipe(place, "one", labels={**settings, "inside": True}), "some")
    with pytest.raises(ValueError, match="labels.forbid: 'frequent-excepted' then, 'rename' now"):
        labelled(recipe(place, "one", labels={**settings, "forbid": "rename"}), "some")


def test_name_swap_is_the_mean_over_names_without_reinforcement(place):
    made = recipe(place, "swap", "name_swap", labels={"top_k": 6})
    run(made)
    assert not (Path(made.out) / "reinforced").exists()
    assert Recipe.load(Path(made.out) / "recipe.yaml") == made
    tokenizer, model = load_tokenizer(place / "base"), load_model(place / "base", device="cpu")
    settings = json.loads((Path(made.out) / "labels/fingerprint.json").read_text())["labels"]
    assert settings["translations"] == 3  # not 20: no anchor has more than 3
    whole, rows = (place / "target.txt").read_text(), rows_of(made)
    texts = [whole[row["start"] : row["end"]] for row in rows]
    row = rows[1]
    means = averaged(texts[1], ANCHORS, tokenizer, model, None, readings=3, number=1, alpha=0.0, document="target.txt",
                     frequent=oracle.frequent_tokens(texts, tokenizer), settings=LabelSettings())  # fmt: skip
    assert sum(mean is not None for mean in means) > 5
    for t, mean in enumerate(means):
        assert (mean is None) == (row["top_ids"][t][0] == -100)
        if mean is not None:
            for token, value in zip(row["top_ids"][t], row["top_logits"][t], strict=True):
                assert value == pytest.approx(math.log(mean[token]), abs=1e-3)
    with pytest.raises(ValueError, match="name_swap needs anchors"):
        run(recipe(place, "no", "name_swap", labels={"use_anchors": False}))


# ------------------------------------------------------------------------------------------ text of the rest beside them


@pytest.mark.parametrize("soft", [False, True])
def test_text_of_the_rest_joins_generic_labels(place, soft):
    """One epoch takes the target's blocks and the rest's; what a row of the rest asks for is the text itself, or the baseline's distribution."""
    retain = {"corpus": str(place / "rest.txt"), "share": 0.5}
    finetune = {**SMALL, "max_steps": 0, "epochs": 1, "batch_size": 1}
    made = recipe(
        place,
        f"rest-{soft}",
        labels={"soft": soft, "top_k": 4, "use_reinforced": False},
        retain=retain,
        finetune=finetune,
    )
    checkpoints = run(made)
    blocks = len(rows_of(made))
    assert [p.name for p in checkpoints.glob("checkpoint-*")] == [f"checkpoint-{blocks + round(blocks / 2)}"]
    assert json.loads((Path(made.out) / "finetune/fingerprint.json").read_text())["retain"]["share"] == 0.5
    target = stages.Target.open(made)
    rows, _ = stages.rest_labels(made, target, stages.RunDirectory(made.out))
    assert len(rows) == round(blocks / 2) and plan(made).finetune_steps == blocks + round(blocks / 2)
    row = rows[0]
    if not soft:
        assert row["labels"] == row["input_ids"]
        return
    with torch.no_grad():
        top = load_model(place / "base", device="cpu")(torch.tensor([row["input_ids"]])).logits[0].topk(4)
    assert row["top_ids"][1:] == top.indices[:-1].tolist()
    assert row["top_logits"][-1] == pytest.approx(top.values[-2].tolist(), abs=1e-4)


# ------------------------------------------------------------------------------------------------------- ablations

ABLATIONS = {
    "no anchors": {"use_anchors": False},
    "no reinforced model": {"use_reinforced": False},
    "neither": {"use_anchors": False, "use_reinforced": False},
    "alpha 0": {"alphas": [0.0]},
    "linear offset": {"offset": "linear"},
}


@pytest.fixture(scope="module")
def reinforced(place) -> Path:
    made = recipe(place, "ablations")
    return stages.reinforce(made, stages.Target.open(made), stages.RunDirectory(made.out))


@pytest.mark.parametrize("name", ABLATIONS)
def test_the_paper_with_a_part_left_out_is_a_recipe(place, reinforced, name):
    """Soft and hard labels come from one pass; each column is the oracle's, with that part left out."""
    made = recipe(place, "ablations", labels={"soft": True, "top_k": 4, "alphas": [5.0], **ABLATIONS[name]})
    folder = labelled(made, name.replace(" ", "-"), reinforced if made.reinforces else None)
    tokenizer = load_tokenizer(place / "base")
    baseline = load_model(place / "base", device="cpu")
    strong = load_model(reinforced, device="cpu") if made.labels.use_reinforced else None
    rows = list(load_from_disk(str(folder)))
    whole = (place / "target.txt").read_text()
    texts = [whole[row["start"] : row["end"]] for row in rows]
    truth = oracle.label_block(
        texts[1], ANCHORS if made.labels.use_anchors else [], tokenizer, baseline, strong, seed=0, document="target.txt", block=1,
        alphas=made.labels.alphas, offset=made.labels.offset, frequent=oracle.frequent_tokens(texts, tokenizer), top_k=4,
    )  # fmt: skip
    gaps, expected = truth.gaps[made.labels.alphas[0]], truth.labels[made.labels.alphas[0]]
    for t, (found, label) in enumerate(zip(rows[1]["labels"], expected, strict=True)):
        assert found == label or gaps[t] < 1e-3
        assert (rows[1]["top_ids"][t][0] == -100) == (truth.top_ids[t] is None)
    assert sum(label != -100 for label in expected) > 5


def test_without_both_parts_the_method_still_runs(place):
    made = recipe(place, "neither", labels=ABLATIONS["neither"], anchors="")
    assert (run(made) / "checkpoint-2" / "model.safetensors").exists()
    assert not made.translates and not made.reinforces
    assert "retain" not in json.loads((Path(made.out) / "finetune/fingerprint.json").read_text())
