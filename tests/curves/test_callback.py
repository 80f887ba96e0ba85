"""`FamiliarityCallback`: the curve is drawn by whatever draws the loss, and training does not notice."""

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import small_prompts
import tiny
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments
from typer.testing import CliRunner

from hp_bench import FamiliarityCallback, Scorecard, score
from hp_bench.results.scorecard import Manifest, TaskManifest, measure
from hp_bench.scoring.store import load_cards

TASKS = ("hp_familiarity", "hp_token_probability")
FAST = ("hp_token_probability",)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("callback")
    tiny.save(root / "base")
    small_prompts.write(root / "prompts")
    with pytest.MonkeyPatch.context() as patch:
        small_prompts.shorten(patch)
        yield root


@pytest.fixture
def no_figure(monkeypatch) -> None:
    """Drawing is what takes longest, and is looked at elsewhere."""
    monkeypatch.setattr("hp_bench.curves.callback.draw", lambda *_: [])


def rows(tokenizer) -> Dataset:
    texts = [text for text in tiny.TEXT for _ in range(2)]
    return Dataset.from_list(
        [{"input_ids": ids, "labels": ids} for ids in (tokenizer(text)["input_ids"][:16] for text in texts)]
    )


def trainer(place: Path, out: Path, *callbacks: TrainerCallback, dropout: float = 0.1, **options) -> Trainer:
    model = AutoModelForCausalLM.from_pretrained(place / "base", attention_dropout=dropout)
    tokenizer = tiny.tokenizer("byte_bpe")
    settings = {
        "max_steps": 6,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-2,
        "logging_steps": 2,
        "save_strategy": "no",
    }
    arguments = TrainingArguments(
        str(out), use_cpu=True, disable_tqdm=True, **{"report_to": "none", **settings, **options}
    )
    torch.manual_seed(0)
    made = Trainer(model=model, args=arguments, train_dataset=rows(tokenizer), processing_class=tokenizer)
    made.data_collator = lambda batch: {
        key: torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(row[key]) for row in batch], batch_first=True, padding_value=value
        )
        for key, value in (("input_ids", 2), ("labels", -100))
    }
    for callback in callbacks:
        made.add_callback(callback)
    return made


def callback(place: Path, **options) -> FamiliarityCallback:
    return FamiliarityCallback(
        **{"every": 2, "tasks": FAST, "metadata": {"prompts": str(place / "prompts")}, **options}
    )


class Noisy(TrainerCallback):
    """Uses every random source at every step, as augmentation might."""

    def __init__(self):
        self.drawn = []

    def on_step_end(self, args, state, control, **_):
        self.drawn.append((random.random(), float(np.random.rand()), float(torch.rand(1))))


def test_training_is_the_same_with_and_without_it_to_the_last_bit(place, tmp_path, no_figure):
    """Dropout, gradient checkpointing, a module kept in eval mode, random numbers drawn on the way, the loss logged as before."""
    found = []
    for name in ("without", "with"):
        noisy = Noisy()
        made = trainer(place, tmp_path / name, noisy, gradient_checkpointing=True)
        made.model.model.norm.eval()
        if name == "with":
            made.add_callback(callback(place, tasks=TASKS))
        made.train()
        losses = [entry for entry in made.state.log_history if "loss" in entry]
        found.append((noisy.drawn, losses, made.model.config.to_dict(), made.model.generation_config.to_dict()))
        found[-1] += ([module.training for module in made.model.modules()], made.processing_class.padding_side)
        made.model.save_pretrained(tmp_path / name / "end")
    assert found[0] == found[1]
    assert len(found[0][1]) == 3
    assert (tmp_path / "without/end/model.safetensors").read_bytes() == (
        tmp_path / "with/end/model.safetensors"
    ).read_bytes()
    assert (tmp_path / "with/end/model.safetensors").read_bytes() != (place / "base/model.safetensors").read_bytes()


def test_the_curve_goes_through_the_trainers_log_and_onto_the_disk(place, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made = trainer(
        place, tmp_path / "run", report_to="tensorboard", save_strategy="steps", save_steps=3, logging_steps=3
    )
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(tmp_path / "tb")
    try:
        made.add_callback(callback(place, tasks=TASKS))
        made.train()
    finally:
        del os.environ["TENSORBOARD_LOGGING_DIR"]
    logged = {
        e["step"]: e["hp_token_probability/token_probability"]
        for e in made.state.log_history
        if "hp_token_probability/token_probability" in e
    }
    assert list(logged) == [0, 2, 4, 6]
    assert len(set(logged.values())) == 4
    assert [e["step"] for e in made.state.log_history if "loss" in e] == [3, 6]
    events = next(path.parent for path in tmp_path.rglob("events.out*"))
    board = EventAccumulator(str(events))
    board.Reload()
    drawn = {event.step: event.value for event in board.Scalars("train/hp_token_probability/token_probability")}
    assert drawn == {step: pytest.approx(value) for step, value in logged.items()}
    cards = load_cards(tmp_path / "run")
    assert [(card.name, card.step) for card in cards] == [
        ("baseline", 0),
        ("checkpoint-2", 2),
        ("checkpoint-4", 4),
        ("checkpoint-6", 6),
    ]
    for name in ("curve.png", "curve.svg", "samples/checkpoint-4/hp_familiarity.jsonl"):
        assert (tmp_path / "run" / name).stat().st_size > 500
    saved = score(tmp_path / "run/checkpoint-6", metadata={"prompts": str(place / "prompts")}, device="cpu")
    assert saved.values == cards[-1].values
    assert [card.manifest.fingerprint for card in cards] == [""] * 4


@pytest.mark.slow
def test_a_run_that_goes_on_from_a_checkpoint_goes_on_with_its_curve(place, tmp_path):
    trainer(place, tmp_path / "run", callback(place), max_steps=4, save_strategy="steps", save_steps=4).train()
    made = trainer(place, tmp_path / "run", callback(place), max_steps=6)
    made.train(resume_from_checkpoint=str(tmp_path / "run/checkpoint-4"))
    again = next(c for c in made.callback_handler.callbacks if isinstance(c, FamiliarityCallback))
    assert [card.step for card in again.cards] == [0, 2, 4, 6]
    drawn = (tmp_path / "run/curve.svg").read_text()
    assert ">run<" in drawn


def test_scoring_that_fails_does_not_stop_the_training_and_is_no_score(place, tmp_path, caplog, no_figure):
    class Spoil(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **_):
            if state.global_step == 3:
                with torch.no_grad():
                    model.lm_head.weight[0, 0] = float("nan")

    made = trainer(place, tmp_path / "run", Spoil(), callback(place))
    made.train()
    assert made.state.global_step == 6
    assert [card.step for card in load_cards(tmp_path / "run")] == [0, 2]
    assert "step 4 could not be scored" in caplog.text and "holds NaN" in caplog.text


def test_a_folder_that_cannot_be_written_or_read_does_not_stop_the_training(place, tmp_path, caplog, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hp_bench.curves.callback.save", full)
    monkeypatch.setattr("hp_bench.curves.callback.draw", full)
    saved = {"save_strategy": "steps", "save_steps": 4, "max_steps": 4}
    made = trainer(place, tmp_path / "run", callback(place), **saved)
    made.train()
    assert made.state.global_step == 4
    assert [row["step"] for row in made.state.log_history if f"{FAST[0]}/token_probability" in row] == [0, 2, 4]
    for what in ("the score of step 2 could not be kept", "the curve could not be drawn"):
        assert f"{what}: [Errno 28] No space left on device" in caplog.text
    (tmp_path / "run/scorecards").mkdir()
    (tmp_path / "run/scorecards/checkpoint-2.json").write_text("{")
    made = trainer(place, tmp_path / "run", callback(place))
    made.train(resume_from_checkpoint=str(tmp_path / "run/checkpoint-4"))
    assert made.state.global_step == 6
    assert "could not be read: " in caplog.text and "checkpoint-2.json' is not a scorecard" in caplog.text


@pytest.mark.slow
def test_mixed_precision_is_named_in_the_scorecard(place, tmp_path):
    made = trainer(place, tmp_path / "run", callback(place, at_start=False), bf16=True, max_steps=2)
    made.train()
    (card,) = load_cards(tmp_path / "run")
    assert card.manifest.dtype == "float32, bfloat16 autocast"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"every": 0}, "every must be 1 or more"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"stop_at": 6}, "stop_at is a familiarity, 0 to 5, not 6"),
        ({"stop_at": -0.1}, "stop_at is a familiarity"),
    ],
)
def test_a_users_mistake_is_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        FamiliarityCallback(**options)


def test_it_ends_the_training_where_the_model_is_as_unfamiliar_as_asked(place, tmp_path, no_figure, monkeypatch):
    monkeypatch.setattr(
        "hp_bench.curves.callback.broken", lambda card, baseline: ""
    )  # so small a model says nothing else
    stopping = callback(place, tasks=TASKS, stop_at=5, at_start=False)
    made = trainer(place, tmp_path / "run", stopping, save_strategy="steps", save_steps=100)
    made.train()
    assert made.state.global_step == 2 and [card.step for card in load_cards(tmp_path / "run")] == [2]
    assert (tmp_path / "run/checkpoint-2/model.safetensors").is_file()


def test_a_model_that_talks_nonsense_has_not_forgotten(place, tmp_path, caplog, no_figure, monkeypatch):
    monkeypatch.setattr("hp_bench.curves.callback.broken", lambda card, baseline: f"{card.name} is broken")
    made = trainer(place, tmp_path / "run", callback(place, tasks=TASKS, stop_at=5, every=3, at_start=False))
    made.train()
    assert made.state.global_step == 6
    assert "step 3: checkpoint-3 is broken; training goes on" in caplog.text


def test_a_run_that_goes_on_where_it_had_ended_does_not_train_on(place, tmp_path, no_figure, monkeypatch):
    monkeypatch.setattr("hp_bench.curves.callback.broken", lambda card, baseline: "")
    saved = {"save_strategy": "steps", "save_steps": 100}
    stopping = {"tasks": TASKS, "stop_at": 5, "at_start": False}
    trainer(place, tmp_path / "run", callback(place, **stopping), **saved).train()
    made = trainer(place, tmp_path / "run", callback(place, **stopping), **saved)
    made.train(resume_from_checkpoint=str(tmp_path / "run/checkpoint-2"))
    assert made.state.global_step == 3  # a Trainer takes one step at least
    assert [card.step for card in load_cards(tmp_path / "run")] == [2]
    assert [folder.name for folder in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-2"]


@pytest.mark.parametrize(
    "grades, stops",
    [
        ([1.0] * 40 + [0.0] * 60, True),
        ([1.0] * 41 + [0.0] * 59, False),
        ([0.0] * 100, True),
        ([0.0] * 50 + [None] * 50, False),
        ([None] * 100, False),
    ],
)
def test_it_ends_at_or_below_the_familiarity_asked_and_never_on_a_score_that_failed(grades, stops):
    task = "hp_familiarity"
    card = Scorecard(
        "checkpoint-20",
        (measure(task, "familiarity", grades, degenerate=0),),
        {task: [f"p{number}" for number in range(len(grades))]},
        {task: {"familiarity": grades}},
        Manifest("m", "hf", "float32", {task: TaskManifest("1", len(grades), judge="lexicon")}),
        20,
    )
    stopping = FamiliarityCallback(stop_at=0.4)
    assert not stopping._forgotten(20)
    stopping.cards = [card]
    assert stopping._forgotten(20) is stops
    assert not stopping._forgotten(40)  # that step could not be scored


def test_ending_needs_a_task_of_completions(place, tmp_path):
    made = trainer(place, tmp_path / "run", callback(place, stop_at=0.1))
    with pytest.raises(ValueError, match="stop_at needs a task with a familiarity, such as hp_familiarity"):
        made.train()


@pytest.mark.slow
def test_two_processes_end_at_the_same_step(place, tmp_path):
    # what the second process thinks does not count: it has no verdicts where a language model judges
    script = SCRIPT.replace(
        "from hp_bench import FamiliarityCallback",
        "import os\nfrom hp_bench import FamiliarityCallback\n"
        "if os.environ['RANK'] == '1':\n    FamiliarityCallback._forgotten = lambda *_: False",
    )
    ends = "assert trainer.state.global_step == 2 and trainer.accelerator.num_processes == 2\n"
    launch(script.replace("every=2,", "every=2, stop_at=5,") + ends, place, tmp_path, ranks=2)
    assert list(curve_of(tmp_path / "run")) == [0, 2]


@pytest.mark.slow
def test_an_adapter_in_training_is_scored_unmerged(place, tmp_path):
    from peft import LoraConfig, get_peft_model

    made = trainer(place, tmp_path / "run")
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(place / "base"), LoraConfig(r=4, target_modules=["q_proj"])
    )
    made = Trainer(
        model=adapted,
        args=made.args,
        train_dataset=made.train_dataset,
        processing_class=made.processing_class,
        data_collator=made.data_collator,
    )
    made.add_callback(callback(place, every=3))
    made.train()
    made.save_model(str(tmp_path / "adapter"))
    cards = load_cards(tmp_path / "run")
    assert [card.step for card in cards] == [0, 3, 6]
    saved = score(
        tmp_path / "adapter",
        tasks=FAST,
        metadata={"prompts": str(place / "prompts")},
        device="cpu",
        base=str(place / "base"),
    )
    assert saved.values == cards[-1].values != cards[0].values


SCRIPT = """
import sys, torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForLanguageModeling, Trainer, TrainingArguments
from hp_bench import FamiliarityCallback

base, text, prompts, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(base)
data = load_dataset("text", data_files=text, split="train").map(lambda row: tokenizer(row["text"]), remove_columns="text")
trainer = Trainer(
    model=AutoModelForCausalLM.from_pretrained(base),
    args=TrainingArguments(out, max_steps=4, per_device_train_batch_size=2, learning_rate=1e-2, report_to="none", use_cpu=True, seed=0),
    train_dataset=data,
    data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
    processing_class=tokenizer,
)
trainer.add_callback(FamiliarityCallback(every=2, metadata={"prompts": prompts}))
trainer.train()
"""

# Trainer leaves its process group open, and Python's own end may then abort the process: a thread wants its lock.
LEAVE = """
import os, sys, torch
torch.distributed.destroy_process_group()
sys.stdout.flush()
os._exit(0)
"""

TRL = """
import sys
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
from hp_bench import FamiliarityCallback

base, text, prompts, out = sys.argv[1:]
trainer = SFTTrainer(
    model=base,
    args=SFTConfig(out, max_steps=4, per_device_train_batch_size=2, learning_rate=1e-2, report_to="none", use_cpu=True, bf16=False,
                   max_length=64, logging_steps=1),
    train_dataset=load_dataset("text", data_files=text, split="train"),
)
trainer.add_callback(FamiliarityCallback(every=2, metadata={"prompts": prompts}))
trainer.train()
assert all("mean_token_accuracy" in entry for entry in trainer.state.log_history if "loss" in entry)
assert sum("loss" in entry for entry in trainer.state.log_history) == 4
"""

SHARDED = """
import sys, torch, torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM, AutoTokenizer
from hp_bench.curves.callback import _untouched
from hp_bench.engines.hf import HFEngine
from hp_bench.scoring.score import load_tasks, score_engine

base, text, prompts, out = sys.argv[1:]
dist.init_process_group("gloo")
model = AutoModelForCausalLM.from_pretrained(base).train()
mesh = torch.distributed.init_device_mesh("cpu", (2,))
for layer in model.model.layers:
    fully_shard(layer, mesh=mesh)
fully_shard(model, mesh=mesh)
assert sum(p.to_local().numel() for p in model.parameters()) < 0.6 * sum(p.numel() for p in model.parameters())
with _untouched(model):
    scored = score_engine(HFEngine(model, tokenizer=AutoTokenizer.from_pretrained(base)), load_tasks(["hp_bench"], {"prompts": prompts}),
                          name=f"rank-{dist.get_rank()}", step=0)
assert model.training
scored.card.save(f"{out}/scorecards/rank-{dist.get_rank()}.json")
"""


def launch(script: str, place: Path, out: Path, ranks: int = 1) -> subprocess.CompletedProcess:
    out.mkdir(parents=True, exist_ok=True)
    if ranks > 1:
        script += LEAVE
    (out / "script.py").write_text(script)
    (out / "text.txt").write_text("\n".join(tiny.TEXT))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torchrun = (
        ["-m", "torch.distributed.run", "--nproc_per_node", str(ranks), "--master_port", str(port)] if ranks > 1 else []
    )
    done = subprocess.run(
        [sys.executable, *torchrun, out / "script.py", place / "base", out / "text.txt", place / "prompts", out / "run"],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}, cwd=out,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-4000:]
    return done


def curve_of(folder: Path) -> dict[int, Scorecard]:
    assert (folder / "curve.png").is_file() and (folder / "curve.svg").is_file()
    return {card.step: card for card in load_cards(folder) if card.step is not None}


@pytest.mark.slow
@pytest.mark.parametrize("script", [SCRIPT, TRL], ids=["trainer", "trl"])
def test_a_script_of_twenty_lines_draws_its_curve(place, tmp_path, script):
    assert len(script.strip().splitlines()) <= 20
    launch(script, place, tmp_path)
    cards = curve_of(tmp_path / "run")
    assert list(cards) == [0, 2, 4]
    assert not any(card.failed for card in cards.values())
    assert cards[0].values != cards[4].values


@pytest.mark.slow
def test_two_processes_score_what_one_would_and_write_it_once(place, tmp_path):
    """Data parallel: the weights trained by two ranks, saved and scored alone, give the numbers kept; trained without, they are the same."""
    script = (
        SCRIPT
        + "assert trainer.accelerator.num_processes == 2 and type(trainer.model_wrapped).__name__ == 'DistributedDataParallel'\n"
    )
    script += "ends = [trainer.model.state_dict()]\ntrainer.save_model(out + '/end')\n"
    again = SCRIPT[SCRIPT.index("trainer = Trainer(") : SCRIPT.index("trainer.add_callback")] + "trainer.train()\n"
    script += (
        again
        + "ends.append(trainer.model.state_dict())\nassert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])\n"
    )
    launch(script, place, tmp_path, ranks=2)
    cards = curve_of(tmp_path / "run")
    assert list(cards) == [0, 2, 4]
    alone = score(tmp_path / "run/end", metadata={"prompts": str(place / "prompts")}, device="cpu")
    assert cards[4].values == alone.values != cards[0].values


@pytest.mark.slow
def test_a_model_sharded_over_two_processes_is_scored_by_both_at_once(place, tmp_path):
    """FSDP2 on two gloo ranks, sharded by hand, since Trainer does not shard on CPUs."""
    launch(SHARDED, place, tmp_path, ranks=2)
    whole = score(place / "base", metadata={"prompts": str(place / "prompts")}, device="cpu")
    for rank in (0, 1):
        card = Scorecard.load(tmp_path / f"run/scorecards/rank-{rank}.json")
        assert not card.failures
        assert card.values["hp_familiarity"] == whole.values["hp_familiarity"]
        found, expected = (c.values["hp_token_probability"]["token_probability"] for c in (card, whole))
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_unlearn_takes_it_by_name_and_the_scorecards_are_in_the_run_directory(place, tmp_path, monkeypatch):
    """`unlearn finetune --callback package.module:Callback`, as `hp_bench:FamiliarityCallback` is named."""
    import unlearn.cli

    (tmp_path / "small_callback.py").write_text(
        "from hp_bench import FamiliarityCallback\n\ndef Small():\n"
        f"    return FamiliarityCallback(every=4, tasks=['hp_token_probability'], metadata={{'prompts': {str(place / 'prompts')!r}}})\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "target.txt").write_text("\n".join(tiny.TEXT * 4))
    (tmp_path / "anchors.jsonl").write_text(json.dumps({"anchor": "Nora", "translations": ["Ann"]}) + "\n")
    for words in (
        ["label", "--baseline", place / "base", "--corpus", tmp_path / "target.txt", "--anchors", tmp_path / "anchors.jsonl",
         "--block-tokens", 32, "--out", tmp_path / "run/labels"],
        ["finetune", "--model", place / "base", "--labels", tmp_path / "run/labels", "--out", tmp_path / "run", "batch_size=8",
         "accumulation=1", "epochs=1", "learning_rate=1e-3", "save_every=0", "--callback", "small_callback:Small"],
    ):  # fmt: skip
        done = CliRunner().invoke(unlearn.cli.app, [*map(str, words), "--device", "cpu"])
        assert done.exit_code == 0, done.output + repr(done.exception)
    steps = list(curve_of(tmp_path / "run"))
    assert steps[:3] == [0, 4, 8]
    assert (tmp_path / f"run/checkpoints/checkpoint-{steps[-1]}/model.safetensors").is_file()
