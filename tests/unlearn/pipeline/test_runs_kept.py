"""What a run must not lose: the user's own files, what a finished run says of itself, its last step, and its end if killed while it cleans up."""

import json
import math
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import torch
from transformers import Trainer, TrainerCallback

import unlearn
from unlearn.cli import main
from unlearn.corpus import blocks
from unlearn.files import model_fingerprint
from unlearn.labels import dataset as label_dataset
from unlearn.models import load_model, load_models
from unlearn.pipeline import stages
from unlearn.pipeline.plan import plan
from unlearn.recipe import Recipe
from unlearn.training import fine_tune as train
from unlearn.training.callbacks import require_gathered

ANCHORS = [
    {"anchor": "Nora", "translations": ["Ann", "Eve"], "type": "person", "count": 3},
    {"anchor": "Port Ansel", "translations": ["the harbour", "a far town"]},
    {"anchor": "Port Ansel", "translations": ["a far town"]},
]
SMALL = {"batch_size": 4, "accumulation": 2, "learning_rate": 1e-3, "save_every": 2, "max_steps": 4}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("kept")
    tiny.save(root / "base")
    tiny.save(root / "other", seed=1)
    (root / "target.txt").write_text("\n".join(tiny.TEXT * 2))
    return root


@pytest.fixture
def anchors(tmp_path) -> Path:
    (tmp_path / "anchors.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ANCHORS))
    return tmp_path / "anchors.jsonl"


def recipe(place: Path, out: Path, anchors: Path, **changes) -> Recipe:
    content = {
        "model": str(place / "base"), "corpus": str(place / "target.txt"), "anchors": str(anchors), "out": str(out), "device": "cpu",
        "labels": {"block_tokens": 48}, "reinforce": {**SMALL, "max_steps": 2, "save_every": 0}, "finetune": SMALL,
    }  # fmt: skip
    return Recipe.build({**content, **changes})


def steps(out: Path) -> set[int]:
    return {int(folder.name.split("-")[1]) for folder in (out / "checkpoints").glob("checkpoint-*")}


def whole(out: Path) -> dict[str, bytes]:
    """Every file but those that hold dates or places."""
    apart = ("log.jsonl", "recipe.yaml")
    return {str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file() and f.name not in apart}


# --- the user's own files


def test_labels_beside_a_dictionary_leave_it_as_it_was(place, anchors, monkeypatch, capsys):
    before = anchors.read_bytes()
    options = {"baseline": place / "base", "corpus": place / "target.txt", "anchors": "anchors.jsonl", "out": "labels",
               "device": "cpu", "block-tokens": 48}  # fmt: skip
    monkeypatch.chdir(anchors.parent)
    monkeypatch.setattr(
        sys, "argv", ["unlearn", "label", *(str(w) for key, value in options.items() for w in (f"--{key}", value))]
    )
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code and (anchors.parent / "labels" / "report.json").exists()
    assert anchors.read_bytes() == before


def test_a_run_in_the_folder_of_its_dictionary_leaves_it_as_it_was(place, anchors):
    before = anchors.read_bytes()
    unlearn.run(recipe(place, anchors.parent, anchors))
    assert anchors.read_bytes() == before and steps(anchors.parent) == {2, 4}


def test_a_folder_that_only_looks_like_a_checkpoint_is_none(place, anchors, tmp_path, monkeypatch, capsys):
    made = recipe(place, tmp_path / "run", anchors)
    (tmp_path / "run.yaml").write_text(made.to_yaml())
    (tmp_path / "run" / "checkpoints" / "checkpoint-old").mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["unlearn", "run", str(tmp_path / "run.yaml"), "--json"])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code and json.loads(capsys.readouterr().out)["steps"] == [2, 4]


@pytest.mark.parametrize("name", ["recipe.yaml", "anchors.jsonl"])
def test_another_file_of_the_users_is_not_written_over(place, anchors, tmp_path, name):
    out = tmp_path / "run"
    out.mkdir()
    (out / name).write_text("# mine\n")
    with pytest.raises(ValueError, match=rf"run/{name}' is not of a run"):
        unlearn.run(recipe(place, out, anchors))
    assert {path.name: path.read_text() for path in out.iterdir()} == {name: "# mine\n"}


def test_labels_asked_for_again_with_other_settings_are_others(place, tmp_path):
    from datasets import load_from_disk

    from unlearn.anchors.dictionary import AnchorDictionary
    from unlearn.corpus.corpus import Corpus
    from unlearn.labels.dataset import make_labels
    from unlearn.models import load_tokenizer
    from unlearn.settings import LabelSettings

    models = load_models(place / "base", place / "other", device="cpu")
    found = []
    for alpha in (0.0, 5.0):
        make_labels(
            *models, load_tokenizer(place / "base"), Corpus(place / "target.txt"), AnchorDictionary(()),
            LabelSettings(alphas=(alpha,), block_tokens=48), out=tmp_path / "labels",
        )  # fmt: skip
        found.append(list(load_from_disk(str(tmp_path / "labels"))["labels"]))
    assert found[0] != found[1]


# --- what a finished run says of itself


@pytest.mark.parametrize("method", ["whp", "npo"])
def test_a_corpus_is_tokenised_once_a_run(place, anchors, tmp_path, monkeypatch, method):
    cut, real = [], blocks.blocks
    monkeypatch.setattr(blocks, "blocks", lambda document, *others: cut.append(document.id) or real(document, *others))
    (tmp_path / "rest.txt").write_text("\n".join(tiny.TEXT))
    made = recipe(place, tmp_path / "run", anchors, method=method, retain={"corpus": str(tmp_path / "rest.txt")})
    planned = plan(made, keep=True)
    unlearn.run(made)
    assert sorted(cut) == ["rest.txt", "target.txt"]
    assert plan(made, keep=True) == planned == plan(made) and len(cut) == 3  # a dry run keeps nothing
    files = {path.name: path.read_bytes() for path in (tmp_path / "run" / "blocks").iterdir()}
    shutil.rmtree(tmp_path / "run" / "blocks")
    unlearn.run(made)
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "run" / "blocks").iterdir()}


@pytest.fixture(scope="module")
def finished(place, tmp_path_factory) -> tuple[Recipe, Path]:
    folder = tmp_path_factory.mktemp("finished")
    (folder / "anchors.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ANCHORS))
    made = recipe(place, folder / "run", folder / "anchors.jsonl")
    unlearn.run(made)
    return made, folder / "run"


@pytest.mark.parametrize("change", ["model", "learning rate", "anchors"])
def test_a_run_that_is_refused_changes_nothing(place, finished, tmp_path, change):
    made, out = finished
    (tmp_path / "few.jsonl").write_text(json.dumps(ANCHORS[1]))
    changes = {
        "model": {"model": str(place / "other")},
        "learning rate": {"finetune": {**SMALL, "learning_rate": 1e-5}},
        "anchors": {"anchors": str(tmp_path / "few.jsonl")},
    }[change]
    before = {**whole(out), "recipe.yaml": (out / "recipe.yaml").read_bytes()}
    with pytest.raises(ValueError, match="was made from other inputs"):
        unlearn.run(recipe(place, out, changes.pop("anchors", made.anchors), **changes))
    assert {**whole(out), "recipe.yaml": (out / "recipe.yaml").read_bytes()} == before


def test_a_change_that_a_later_stage_takes_is_said_in_the_recipe(place, finished, tmp_path):
    made, out = finished
    shutil.copytree(out, tmp_path / "run")
    for name in ("finetune", "checkpoints"):
        shutil.rmtree(tmp_path / "run" / name)
    changed = recipe(place, tmp_path / "run", made.anchors, finetune={**SMALL, "max_steps": 2})
    unlearn.run(changed)
    assert Recipe.load(tmp_path / "run" / "recipe.yaml") == changed and steps(tmp_path / "run") == {2}


# --- the last step


class EndsAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args, state, control, **_):
        control.should_training_stop |= state.global_step == self._step


class Saves(TrainerCallback):
    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_save(self, args, state, control, **_):
        self.steps.append(state.global_step)


def test_a_training_that_ends_by_itself_saves_its_end_once(place, anchors, tmp_path):
    unlearn.run(recipe(place, tmp_path / "run", anchors), callbacks=[counted := Saves()])
    assert counted.steps == [2, 4]


@pytest.mark.parametrize(("every", "kept"), [(0, {3}), (2, {2, 3})])
def test_a_training_that_a_callback_ends_between_two_checkpoints_keeps_its_end(place, anchors, tmp_path, every, kept):
    made = recipe(place, tmp_path / "run", anchors, finetune={**SMALL, "save_every": every})
    unlearn.run(made, callbacks=[EndsAt(3), counted := Saves()])
    assert steps(tmp_path / "run") == kept == set(counted.steps) and len(counted.steps) == len(kept)
    assert load_model(tmp_path / "run" / "checkpoints" / "checkpoint-3", device="cpu") is not None


def test_a_checkpoint_without_weights_ends_the_run_and_loses_nothing(place, anchors, tmp_path, monkeypatch):
    """Sharded training leaves shards in folders of their own, and `save_model` writes nothing."""
    reinforced = stages.reinforce
    made = recipe(place, tmp_path / "run", anchors)

    def then_sharded(*arguments, **options):
        done = reinforced(*arguments, **options)
        monkeypatch.setattr(
            Trainer, "save_model", lambda _, to, **__: (Path(to) / "pytorch_model_fsdp_0").mkdir(parents=True)
        )
        return done

    monkeypatch.setattr(stages, "reinforce", then_sharded)
    with pytest.raises(ValueError, match="checkpoint-2' holds no whole weights: the training is sharded"):
        unlearn.run(made)
    assert not steps(tmp_path / "run") and list((tmp_path / "run" / "finetune.tmp" / "work").iterdir())


def test_fsdp_that_would_save_shards_is_refused():
    def trainer(plugin):
        return SimpleNamespace(accelerator=SimpleNamespace(state=SimpleNamespace(fsdp_plugin=plugin)))

    from torch.distributed.fsdp import StateDictType

    kinds = {kind: trainer(SimpleNamespace(state_dict_type=kind)) for kind in StateDictType}
    assert require_gathered(kinds[StateDictType.FULL_STATE_DICT]) and not require_gathered(trainer(None))
    with pytest.raises(ValueError, match="FSDP is to save a SHARDED_STATE_DICT, not whole models"):
        require_gathered(kinds[StateDictType.SHARDED_STATE_DICT])


def test_a_step_without_a_label_moves_nothing_and_its_loss_is_0(place, tmp_path):
    from datasets import Dataset

    from unlearn.models import load_tokenizer
    from unlearn.recipe import Training

    rows = [{"input_ids": [5, 6, 7, 8], "labels": labels} for labels in ([-100] * 4, [-100, 6, 7, 8])]

    def trained(rows):
        return train.fine_tune(
            load_model(place / "base", device="cpu"), load_tokenizer(place / "base"), Dataset.from_list(rows),
            Training(batch_size=1, accumulation=1, epochs=1, learning_rate=1e-3, save_every=1), work=tmp_path / "work",
            checkpoints=tmp_path / "checkpoints", device="cpu",
        )  # fmt: skip

    with pytest.raises(ValueError, match="no position of 3 blocks has a label"):
        trained([rows[0]] * 3)
    losses = {entry["step"]: entry["loss"] for entry in trained(rows).history if "loss" in entry}
    assert sorted(losses.values())[0] == 0 < sorted(losses.values())[1] < math.inf
    assert losses[1] == 0  # by this seed
    before, after = (
        load_model(folder, device="cpu").state_dict()
        for folder in (place / "base", tmp_path / "checkpoints" / "checkpoint-1")
    )
    assert all(torch.equal(before[name], after[name]) for name in before)


# --- killed while it cleans up


class Killed(BaseException):
    pass


@pytest.mark.parametrize("where", ["labels", "reinforced", "finetune"])
def test_a_run_killed_while_it_throws_scraps_away_goes_on_to_the_same_bytes(
    place, finished, tmp_path, monkeypatch, where
):
    made, out = finished
    real, module = shutil.rmtree, label_dataset if where == "labels" else train
    wanted = {"labels": "joined", "reinforced": "work", "finetune": "work"}[where]

    def killed(folder, *arguments, **options):
        folder = Path(folder)
        if folder.name == wanted and folder.parent.name == f"{where}.tmp":
            for file in sorted(f for f in folder.rglob("*") if f.is_file())[::2]:
                file.unlink()
            raise Killed
        real(folder, *arguments, **options)

    again = recipe(place, tmp_path / "run", Path(made.anchors))
    with monkeypatch.context() as patched:
        patched.setattr(module.shutil, "rmtree", killed)
        with pytest.raises(Killed):
            unlearn.run(again)
    with monkeypatch.context() as patched:  # what was trained, or labelled, is not done again
        if where == "labels":
            patched.setattr(label_dataset, "write_shards", None)
        if where == "finetune":
            patched.setattr(stages, "fine_tune", None)
        unlearn.run(again)
    assert whole(tmp_path / "run") == whole(out)


# --- which model it is


def test_two_models_are_compared_in_the_wider_of_their_types(place, tmp_path):
    """Of a baseline in bfloat16 and the same weights in float32, nothing is left over."""
    from unlearn.labels.formula import generic_logits

    tiny.save(tmp_path / "half", dtype=torch.bfloat16)
    load_model(tmp_path / "half", device="cpu", dtype="float32").save_pretrained(tmp_path / "full")
    one, other = load_models(tmp_path / "half", tmp_path / "full", device="cpu")
    assert one.dtype == other.dtype == torch.float32
    ids = torch.arange(3, 40)[None]
    b, r = (model(input_ids=ids).logits for model in (one, other))
    assert torch.equal(generic_logits(b, r, alpha=5.0, offset="relu"), b.float())
    alone = load_models(tmp_path / "half", None, device="cpu")
    assert alone[0].dtype == torch.bfloat16 and alone[1] is None
    assert load_models(tmp_path / "half", tmp_path / "full", device="cpu", dtype="bfloat16")[1].dtype == torch.bfloat16


def test_an_adapter_is_no_baseline_to_train(place, anchors, tmp_path):
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(load_model(place / "base", device="cpu"), LoraConfig(r=2, target_modules=["q_proj"]))
    adapted.save_pretrained(tmp_path / "adapter")
    for file in (place / "base").glob("tokenizer*"):
        shutil.copy(file, tmp_path / "adapter")
    made = recipe(place, tmp_path / "run", anchors, model=str(tmp_path / "adapter"))
    for asked in (plan, unlearn.run):
        with pytest.raises(ValueError, match="adapter' is an adapter, and unlearning trains whole models"):
            asked(made)


def test_a_change_in_the_middle_of_a_large_file_is_another_model(tmp_path):
    (tmp_path / "m").mkdir()
    path = tmp_path / "m" / "model.safetensors"
    path.write_bytes(bytes(80 << 20))
    before = model_fingerprint(tmp_path / "m")
    with path.open("r+b") as stream:
        stream.seek(40 << 20)
        stream.write(b"x")
    assert model_fingerprint(tmp_path / "m") != before
