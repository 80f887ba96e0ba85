"""`hp-bench curve`: seven checkpoints in one engine are seven separate runs, and one that is broken loses no other."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_prompts
import tiny
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from hp_bench import Curve, curve, score
from hp_bench.cli import app
from hp_bench.scoring.checkpoints import checkpoints_in, is_model, named_baseline, named_models, points_of

STEPS = (20, 40, 60, 80, 100, 120)
FAST = "hp_token_probability"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("curve")
    tiny.save(root / "base")
    small_prompts.write(root / "prompts")
    for step in STEPS:
        tiny.save(root / "full" / f"checkpoint-{step}", seed=step)
        torch.manual_seed(step)
        settings = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
        adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(root / "base"), settings)
        adapted.save_pretrained(root / "lora" / f"checkpoint-{step}")
    with pytest.MonkeyPatch.context() as patch:
        small_prompts.shorten(patch)
        yield root


def run(*words: object, code: int = 0):
    done = CliRunner().invoke(app, ["curve", *map(str, words), "--device", "cpu"])
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


def asked_of(place: Path, folder: Path) -> list[object]:
    return [folder, "--baseline", place / "base", "--tasks", FAST, "--metadata", f"prompts={place / 'prompts'}"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_curve_of_seven_is_seven_separate_runs(place, method):
    metadata = {"prompts": str(place / "prompts")}
    made = curve(place / method, baseline=place / "base", metadata=metadata, device="cpu")
    assert [point.step for point in made.points] == [0, *STEPS]
    for point in made.points:
        model = place / "base" if point.step == 0 else place / method / f"checkpoint-{point.step}"
        alone = score(model, metadata=metadata, device="cpu")
        assert (point.values, point.items, point.measurements) == (alone.values, alone.items, alone.measurements)
        assert point.manifest == alone.manifest
    assert len({json.dumps(point.values) for point in made.points}) == 7


def words_of(place: Path) -> list:
    """Two methods against a baseline."""
    prompts = f"prompts={place / 'prompts'}"
    return [
        place / "few/full",
        place / "few/lora",
        "--baseline",
        place / "base",
        "--tasks",
        FAST,
        "--metadata",
        prompts,
    ]


@pytest.fixture(scope="module")
def two(place) -> tuple[list, Path]:
    """Two methods on one picture: whole models and adapters, one baseline."""
    out = place / "two"
    for method in ("full", "lora"):
        for step in STEPS[3:]:
            shutil.rmtree(place / "few" / method / f"checkpoint-{step}", ignore_errors=True)
        for step in STEPS[:2]:
            shutil.copytree(place / method / f"checkpoint-{step}", place / "few" / method / f"checkpoint-{step}")
    return json.loads(run(*words_of(place), "--out", out, "--json").stdout), out


def test_several_methods_share_a_baseline_and_a_picture(place, two):
    content, out = two
    assert [method["method"] for method in content] == ["full", "lora"]
    assert [[point["step"] for point in method["points"]] for method in content] == [[0, 20, 40]] * 2
    assert content[0]["points"][0] == content[1]["points"][0]
    assert {d["name"] for d in content[1]["differences"]} == {"lora/checkpoint-20", "lora/checkpoint-40"}
    assert (out / "curve.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    drawn = (out / "curve.svg").read_text()
    assert ">full<" in drawn and ">lora<" in drawn
    names = {
        path.relative_to(out / "scorecards").as_posix() for path in (out / "scorecards").rglob("*") if path.is_file()
    }
    assert names == {"baseline.json", *(f"{m}/checkpoint-{s}.json" for m in ("full", "lora") for s in (20, 40))}


def test_the_command_line_gives_what_python_gives_and_the_report_reads_it(place, two):
    from hp_bench.report.run import read_story

    content, out = two
    made = curve(
        place / "few/full",
        baseline=place / "base",
        tasks=[FAST],
        metadata={"prompts": str(place / "prompts")},
        device="cpu",
    )
    for point, shown in zip(made.points, content[0]["points"], strict=True):
        assert [m.value for m in point.measurements] == [m["value"] for m in shown["measurements"]]
        assert point.manifest.fingerprint == shown["manifest"]["fingerprint"]
    story = read_story(out)
    assert {method.name: len(method.points) for method in story.methods} == {"full": 3, "lora": 3}


def test_what_was_scored_is_not_scored_again_and_the_picture_is_the_same_bytes(place, two, monkeypatch):
    _, out = two
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    monkeypatch.setattr("hp_bench.engines.hf.HFEngine.__init__", lambda *_, **__: pytest.fail("an engine was opened"))
    run(*words_of(place), "--out", out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_checkpoint_that_was_scored_on_other_threads_is_said(place, two, tmp_path):
    out = shutil.copytree(two[1], tmp_path / "out")
    path = out / "scorecards/lora/checkpoint-40.json"
    path.write_text(path.read_text().replace("cpu, threads: 1", "cpu, threads: 64"))
    said = run(*words_of(place), "--out", out).stderr.splitlines()
    assert said.count("not quite the same conditions: device cpu, threads: 1 against cpu, threads: 64") == 1


def test_broken_checkpoints_are_a_sentence_each_and_the_rest_of_the_curve_is_intact(place, tmp_path):
    from broken_checkpoints import broken

    run_folder = tmp_path / "run"
    names = {30: "shard", 40: "architecture", 50: "tokenizer", 60: "nan"}
    (tmp_path / "of").mkdir()
    shutil.copytree(place / "full/checkpoint-20", tmp_path / "of/full/checkpoint-10")
    for step, how in names.items():
        broken(tmp_path / "of", run_folder / f"checkpoint-{step}", how)
    for step in (20, 80):
        shutil.copytree(place / "full" / f"checkpoint-{step}", run_folder / f"checkpoint-{step}")
    words = [*asked_of(place, run_folder), "--json"]
    done = run(*words, code=1)
    (method,) = json.loads(done.stdout)
    values = {point["step"]: point["measurements"][0]["value"] for point in method["points"]}
    assert [step for step, value in values.items() if value is not None] == [0, 20, 80]
    metadata = {"prompts": str(place / "prompts")}
    for step, model in {20: run_folder / "checkpoint-20", 80: run_folder / "checkpoint-80"}.items():
        alone = score(model, tasks=[FAST], metadata=metadata, device="cpu")
        assert values[step] == alone.get(FAST, "token_probability").value
    said = [line for line in done.stderr.splitlines() if line.startswith("hp-bench: checkpoint-")]
    assert len(said) == 4
    for line, (step, words) in zip(
        said,
        {30: "lacks 1 of its 6 weight files", 40: "another architecture", 50: "tokenizer", 60: "holds NaN"}.items(),
        strict=True,
    ):
        assert line.startswith(f"hp-bench: checkpoint-{step}: ") and words in line
    assert (run_folder / "curve.png").is_file()
    broken(tmp_path / "of", run_folder / "checkpoint-90", "nan")
    told = run(*asked_of(place, run_folder), code=1).stdout
    assert told.startswith("checkpoint-80: token_probability 0.")  # not "checkpoint-90: failed"


def test_checkpoints_of_one_name_are_told_apart_by_their_runs(tmp_path):
    folders = [tmp_path / name for name in ("a/checkpoints/checkpoint-2", "b/checkpoint-2", "other")]
    for folder in folders:
        folder.mkdir(parents=True)
    names = [point.name for point in named_models([*map(str, folders), "org/other"])]
    assert names == ["a-checkpoint-2", "b-checkpoint-2", f"{tmp_path.name}-other", "org-other"]


def test_what_the_points_of_a_curve_are(place, tmp_path):
    assert [p.step for p in checkpoints_in(place / "full")] == list(STEPS)
    assert [(p.step, p.path) for p in points_of(["org/model@step2000", "org/model@step1000"])] == [
        (1000, "org/model@step1000"), (2000, "org/model@step2000"),
    ]  # fmt: skip
    assert [(p.step, p.path) for p in points_of([f"7:{place / 'base'}"])] == [(7, str(place / "base"))]
    shutil.copytree(place / "full/checkpoint-20", tmp_path / "run/checkpoints/checkpoint-20")
    assert [p.step for p in points_of([tmp_path / "run"])] == [20]
    (tmp_path / "run/recipe.yaml").write_text(f"model: {place / 'base'}\n")
    assert named_baseline(tmp_path / "run") == named_baseline(tmp_path / "run/checkpoints") == str(place / "base")
    assert named_baseline(place / "full") is None
    shutil.copy(place / "base/config.json", tmp_path / "run/config.json")
    assert not is_model(tmp_path / "run")
    assert is_model(place / "base")


@pytest.mark.parametrize(
    "words, message",
    [
        (
            ["{place}/nowhere"],
            "there is no folder .*nowhere'; a curve wants a run directory of `unlearn run`, a folder of checkpoints such as",
        ),
        (["{place}/prompts"], "holds no checkpoint-<steps> folder"),
        (["{place}/base"], "how many optimiser steps is .*base'"),
        (["3:{place}/base", "3:{place}/full/checkpoint-20"], "are both at step 3"),
        (["{place}/full", "--baseline", "{place}/none"], "model folder .*none' does not exist"),
        (["{place}/full", "{place}/full"], "two methods are called 'full'"),
        (["{place}/full", "--name", "a", "--name", "b"], "--name was given 2 times for 1 methods"),
        (["{place}/full", "--engine", "endpoint"], "a served model has no checkpoints"),
    ],
)
def test_a_users_mistake_is_one_sentence(place, words, message):
    done = CliRunner().invoke(app, ["curve", *(word.format(place=place) for word in words)])
    assert isinstance(done.exception, ValueError)
    with pytest.raises(ValueError, match=message):
        raise done.exception


def test_prompts_about_another_text_than_the_run_was_to_forget_are_said_so(place, tmp_path):
    shutil.copytree(place / "full/checkpoint-20", tmp_path / "run/checkpoints/checkpoint-20")
    docs = [json.loads(line) for line in (place / "prompts/token_probability.jsonl").read_text().splitlines()]
    for name, told in (("Zorvel", True), (docs[0]["prompt"].split()[0], False)):
        (tmp_path / "run/anchors.jsonl").write_text(json.dumps({"anchor": name, "translations": ["Nobody"]}) + "\n")
        assert ("prompts=FOLDER names yours" in run(*asked_of(place, tmp_path / "run")).stderr) is told


def test_a_curve_without_a_number_is_no_picture(place, tmp_path):
    from hp_bench.curves.curve import draw
    from hp_bench.scoring.score import failed, load_tasks

    loaded = load_tasks([FAST], {"prompts": str(place / "prompts")})
    card = failed(loaded, "gone", name="checkpoint-1", model="m", engine="hf", step=1).card
    assert draw([Curve("m", (card,))], tmp_path) == []
    assert list(tmp_path.iterdir()) == []
