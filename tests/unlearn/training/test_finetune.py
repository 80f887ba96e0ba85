"""Both fine-tunes: what they change, what they leave, and that plain transformers.Trainer does the same."""

import json
import math
from pathlib import Path

import pytest
import tiny
import torch
from datasets import Dataset, load_from_disk
from safetensors.torch import load_file
from transformers import TrainerCallback

from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.corpus.corpus import Corpus
from unlearn.labels.dataset import make_labels
from unlearn.methods.whp import run
from unlearn.models import load_model, load_tokenizer
from unlearn.pipeline import stages
from unlearn.recipe import Recipe, Training
from unlearn.settings import LabelSettings
from unlearn.training import callbacks as training_callbacks
from unlearn.training.chunked_loss import soft_cross_entropy
from unlearn.training.fine_tune import fine_tune, label_columns, optimiser_steps

ANCHORS = [
    {"anchor": "Nora", "translations": ["Ann", "Eve"], "entity": "nora"},
    {"anchor": "Nora Quill", "translations": ["Ann Bell", "Eve Hart"], "entity": "nora"},
    {"anchor": "Captain Brandt", "translations": ["Captain Reed"]},
    {"anchor": "Port Ansel", "translations": ["the harbour", "a far town"]},
]
SMALL = {"batch_size": 4, "accumulation": 2, "learning_rate": 1e-3, "save_every": 4}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("unlearn")
    tiny.save(root / "base")
    (root / "target.txt").write_text("\n".join(tiny.TEXT * 4))
    (root / "anchors.jsonl").write_text("\n".join(json.dumps(row) for row in ANCHORS))
    return root


def recipe(place: Path, out: str, **changes) -> Recipe:
    content = {
        "model": str(place / "base"), "corpus": str(place / "target.txt"), "anchors": str(place / "anchors.jsonl"), "out": str(place / out),
        "device": "cpu", "labels": {"block_tokens": 48}, "reinforce": {**SMALL, "epochs": 1, "save_every": 0}, "finetune": {**SMALL, "epochs": 2},
    }  # fmt: skip
    return Recipe.build({**content, **changes})


@pytest.fixture(scope="module")
def finished(place):
    made = recipe(place, "finished")
    return made, run(made)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_run_leaves_what_the_layout_promises(place, finished):
    made, checkpoints = finished
    out = Path(made.out)
    assert {p.name for p in out.iterdir()} == {
        "recipe.yaml",
        "run.json",
        "anchors.jsonl",
        "log.jsonl",
        "blocks",
        "reinforced",
        "labels",
        "finetune",
        "checkpoints",
    }
    steps = [int(p.name.split("-")[1]) for p in checkpoints.glob("checkpoint-*")]
    blocks = len(load_from_disk(str(out / "labels")))
    assert max(steps) == optimiser_steps(blocks, made.finetune)
    assert set(steps) == {*range(4, max(steps), 4), max(steps)}
    for folder in checkpoints.glob("checkpoint-*"):
        names = {p.name for p in folder.iterdir()}
        assert {"model.safetensors", "config.json", "tokenizer.json"} <= names
        assert not any(name.startswith(("optimizer", "scheduler", "rng", "trainer", "training")) for name in names)
        assert json.loads((folder / "config.json").read_text()).get("use_cache", True)
    assert not list(out.glob("*.tmp"))
    assert Recipe.load(out / "recipe.yaml") == made


def test_training_moves_every_weight(place, finished):
    made, checkpoints = finished
    before = weights(place / "base")
    for after in (weights(Path(made.out) / "reinforced"), weights(checkpoints / "checkpoint-4")):
        assert set(before) == set(after)
        unchanged = [name for name in before if torch.equal(before[name], after[name])]
        assert not unchanged


def test_the_same_recipe_twice_gives_the_same_bytes(place, finished):
    made, checkpoints = finished
    again = run(recipe(place, "again"))
    for name in ("checkpoint-4",):
        assert (again / name / "model.safetensors").read_bytes() == (
            checkpoints / name / "model.safetensors"
        ).read_bytes()
    ours, theirs = Path(made.out), place / "again"
    for file in (
        "labels/data-00000-of-00001.arrow",
        "labels/state.json",
        "labels/report.json",
        "finetune/history.json",
        "run.json",
    ):
        assert (ours / file).read_bytes() == (theirs / file).read_bytes(), file


def test_a_finished_run_is_not_made_again_and_changed_inputs_are_refused(place, finished):
    made, checkpoints = finished
    stamp = (checkpoints / "checkpoint-4" / "model.safetensors").stat().st_mtime_ns
    assert run(made) == checkpoints
    assert (checkpoints / "checkpoint-4" / "model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(
        ValueError, match=r"labels in .* was made from other inputs \(labels.alphas.*\): choose another run directory"
    ):
        run(recipe(place, "finished", labels={"block_tokens": 48, "alphas": [2.0]}))
    with pytest.raises(
        ValueError, match="checkpoints in .* was made from other inputs .*learning_rate: 0.001 then, 0.01 now"
    ):
        run(recipe(place, "finished", finetune={**SMALL, "epochs": 2, "learning_rate": 1e-2}))


def test_plain_trainer_gives_the_same_losses(place, finished):
    """Nothing of ours is used here but the label dataset on disk."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments

    made, _ = finished
    tokenizer = AutoTokenizer.from_pretrained(place / "base")
    dataset = load_from_disk(Path(made.out) / "labels").select_columns(["input_ids", "labels"])
    arguments = TrainingArguments(
        output_dir=str(place / "plain"), per_device_train_batch_size=4, gradient_accumulation_steps=2, learning_rate=1e-3, num_train_epochs=2,
        adam_beta2=0.98, optim="adamw_torch", logging_steps=1, save_strategy="no", report_to="none", use_cpu=True, seed=0, data_seed=0,
    )  # fmt: skip
    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(place / "base"), args=arguments, train_dataset=dataset,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100), processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    plain = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    ours = [entry["loss"] for entry in json.loads((Path(made.out) / "finetune" / "history.json").read_text())]
    assert ours == pytest.approx(plain, rel=1e-6)
    assert len(ours) > 4


def test_an_interrupted_finetune_ends_with_the_same_weights(place, finished):
    made, checkpoints = finished

    class Stop(Exception):
        pass

    from transformers import TrainerCallback

    class Interrupt(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 6:
                raise Stop

    again = recipe(place, "interrupted")
    with pytest.raises(Stop):
        run(again, callbacks=[Interrupt()])
    folder = run(again)
    last = max(checkpoints.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1])).name
    assert (folder / last / "model.safetensors").read_bytes() == (checkpoints / last / "model.safetensors").read_bytes()


class Killed(TrainerCallback):
    """Breaks a training off after the step that was just saved, or notes where it began."""

    def __init__(self, at: int = 0) -> None:
        self._at, self.began = at, -1

    def on_train_begin(self, args, state, control, **_):
        self.began = state.global_step

    def on_step_begin(self, args, state, control, **_):
        if self._at and state.global_step == self._at:
            raise KeyboardInterrupt


def test_a_long_training_that_saves_nothing_goes_on_where_it_was_killed(place, finished, monkeypatch, caplog):
    """With `save_every: 0` it began anew, however long it had trained."""
    only_last = {**SMALL, "epochs": 2, "save_every": 0}
    labels = label_columns(load_from_disk(str(Path(finished[0].out) / "labels")))

    def train(name: str, *killed: Killed) -> Path:
        model, tokenizer = load_model(place / "base", device="cpu"), load_tokenizer(place / "base")
        where = {"work": place / name / "work", "checkpoints": place / name / "checkpoints"}
        return fine_tune(model, tokenizer, labels, Training(**only_last), **where, device="cpu", callbacks=killed).last

    whole = train("whole")
    monkeypatch.setattr(training_callbacks, "_KEEP_EVERY", 0.0)
    monkeypatch.setattr(training_callbacks, "_KEEP_SHARE", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train("killed", Killed(at=5))
    assert not list((place / "killed" / "checkpoints").glob("checkpoint-*"))
    resumed = Killed()
    assert "continuing" not in caplog.text
    with caplog.at_level("INFO", "unlearn"):
        assert tiny.content(train("killed", resumed)) == tiny.content(whole)
    assert resumed.began == 5
    steps = int(whole.name.removeprefix("checkpoint-"))
    said = [one.getMessage() for one in caplog.records if one.name.startswith("unlearn")]
    assert said == [f"training: continuing at step 5 of {steps}"]
    assert [folder.name for folder in (place / "killed" / "checkpoints").iterdir()] == [whole.name]


def test_a_loss_that_is_no_number_ends_the_training_in_one_sentence(place, finished):
    """It went on to the end, and then said that "Out of range float values are not JSON compliant"."""
    model, tokenizer = load_model(place / "base", device="cpu"), load_tokenizer(place / "base")
    labels = label_columns(load_from_disk(str(Path(finished[0].out) / "labels")))
    training = Training(**{**SMALL, "epochs": 2, "learning_rate": 1e30})
    where = {"work": place / "nan" / "work", "checkpoints": place / "nan" / "checkpoints"}
    with pytest.raises(ValueError, match=r"the loss is no number at step 2: lower learning_rate=1e\+30"):
        fine_tune(model, tokenizer, labels, training, **where, device="cpu")


def test_blocks_that_the_model_cannot_read_are_refused(place):
    tokenizer, training = load_tokenizer(place / "base"), Training(**SMALL)
    rows = Dataset.from_dict({"input_ids": [[5, 6, 399]], "labels": [[5, 6, 399]]})
    where = {"work": place / "none" / "work", "checkpoints": place / "none" / "checkpoints", "device": "cpu"}
    with pytest.raises(ValueError, match="the blocks hold token 399, and the model knows 100: its tokenizer"):
        fine_tune(tiny.llama(100), tokenizer, rows, training, **where)
    with pytest.raises(ValueError, match="a block of 3 tokens is longer than the model's context of 2: choose fewer"):
        fine_tune(tiny.llama(400, context=2), tokenizer, rows, training, **where)


def test_a_finetune_that_a_callback_ended_says_so_whenever_it_is_taken_for_finished(place, finished, caplog):
    from transformers import TrainerCallback

    class End(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 6:
                control.should_training_stop = control.should_save = True

    short, steps = (
        recipe(place, "short"),
        optimiser_steps(len(load_from_disk(str(place / "finished/labels"))), finished[0].finetune),
    )
    caplog.set_level("INFO", logger="unlearn")
    said = f"the fine-tune ended at step 6 of {steps}, by a callback; to train anew, delete {place / 'short/finetune'}"
    for callbacks in ([End()], []):
        caplog.clear()
        folder = run(short, callbacks=callbacks)
        assert said in caplog.text
    assert {path.name for path in folder.glob("checkpoint-*")} == {"checkpoint-4", "checkpoint-6"}
    caplog.clear()
    run(finished[0])
    assert "ended at step" not in caplog.text


def test_soft_labels_train_and_hard_ones_come_from_the_same_pass(place):
    made = recipe(place, "soft", labels={"block_tokens": 48, "soft": True, "top_k": 8})
    checkpoints = run(made)
    labels = load_from_disk(str(Path(made.out) / "labels"))
    row = labels[0]
    assert len(row["top_ids"]) == len(row["labels"]) == len(row["input_ids"])
    for label, ids in zip(row["labels"], row["top_ids"], strict=True):
        assert len(ids) == 8
        assert label == ids[0]
    history = json.loads((Path(made.out) / "finetune" / "history.json").read_text())
    assert history[-1]["loss"] < history[0]["loss"]
    hard = stages.finetune(
        recipe(place, "hard"),
        load_tokenizer(place / "base"),
        stages.RunDirectory(place / "hard"),
        Path(made.out) / "labels",
    )
    assert not torch.equal(
        weights(hard / "checkpoint-4")["lm_head.weight"], weights(checkpoints / "checkpoint-4")["lm_head.weight"]
    )


def test_soft_cross_entropy_equals_the_literal_sum():
    torch.manual_seed(0)
    logits, top_ids, top_logits = (
        torch.randn(5, 30),
        torch.stack([torch.randperm(30)[:4] for _ in range(5)]),
        torch.randn(5, 4),
    )
    found = soft_cross_entropy(logits, top_ids, top_logits, temperature=0.7)
    for n in range(5):
        total = sum(math.exp(x) for x in logits[n].tolist())
        weights_ = [math.exp(x / 0.7) for x in top_logits[n].tolist()]
        expected = -sum(
            w / sum(weights_) * math.log(math.exp(logits[n, i].item()) / total)
            for w, i in zip(weights_, top_ids[n].tolist(), strict=True)
        )
        assert found[n].item() == pytest.approx(expected, rel=1e-5)


def test_adapters_leave_the_base_alone_and_label_as_they_are(place):
    lora = {"r": 4, "alpha": 8}
    made = recipe(
        place,
        "lora",
        reinforce={**SMALL, "epochs": 1, "save_every": 0, "lora": lora},
        finetune={**SMALL, "epochs": 1, "lora": lora},
    )
    checkpoints = run(made)
    reinforced = Path(made.out) / "reinforced"
    assert (reinforced / "adapter_model.safetensors").exists() and not (reinforced / "model.safetensors").exists()
    adapted = json.loads((checkpoints / "checkpoint-4" / "adapter_config.json").read_text())["target_modules"]
    assert adapted == sorted(adapted) and len(adapted) > 4, "a set would be written in another order by every process"
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        base = load_model(place / "base", device="cpu")(ids).logits
        adapted = load_model(reinforced, device="cpu")(ids).logits
    assert not torch.allclose(base, adapted)


def test_label_dataset_from_python_without_a_run_directory(place, tmp_path):
    model, tokenizer = load_model(place / "base", device="cpu"), load_tokenizer(place / "base")
    corpus = Corpus(["Nora met Captain Brandt in Port Ansel.", "Nora Quill went home."])
    report = make_labels(
        model,
        model,
        tokenizer,
        corpus,
        AnchorDictionary.load(place / "anchors.jsonl"),
        LabelSettings(alphas=(5.0, 2.5)),
        out=tmp_path / "labels",
    )
    dataset = load_from_disk(str(tmp_path / "labels"))
    assert dataset["document"] == ["0", "1"] and report.blocks == 2
    assert {"labels", "labels_alpha_2.5"} <= set(dataset.column_names)
    assert all(row[0] == -100 for row in dataset["labels"])
    with pytest.raises(ValueError, match="no column 'labels_alpha_9'; there is labels, labels_alpha_2.5"):
        label_columns(dataset, "labels_alpha_9")
    with pytest.raises(ValueError, match="hold no soft labels"):
        label_columns(dataset, soft=True)


def test_holdout_is_not_trained_on_and_its_loss_is_reported(place, finished, tmp_path):
    made, _ = finished
    dataset = label_columns(load_from_disk(str(Path(made.out) / "labels")))
    training = Training(**{**SMALL, "epochs": 1, "holdout": 0.2, "save_every": 2})
    trained = fine_tune(
        load_model(place / "base", device="cpu", dtype="float32"), load_tokenizer(place / "base"), dataset, training,
        work=tmp_path / "work", checkpoints=tmp_path / "checkpoints", device="cpu",
    )  # fmt: skip
    assert trained.steps == optimiser_steps(len(dataset), training)
    assert any("eval_loss" in entry for entry in trained.history)


def test_mixed_precision_trains_where_auto_means_the_cpu(place, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    tokenizer = load_tokenizer(place / "base")
    blocks = stages.Target.open(recipe(place, "unused")).blocks.for_training()
    training = Training(**{**SMALL, "max_steps": 2, "bf16": True})
    trained = fine_tune(
        load_model(place / "base", device="cpu"),
        tokenizer,
        blocks,
        training,
        work=tmp_path / "w",
        checkpoints=tmp_path / "c",
    )
    assert trained.steps == 2
