"""Any method is one key of a recipe: it runs, goes on after a kill with the same bytes, and a mistake is one sentence."""

import json
import sys
from pathlib import Path

import pytest
import tiny
import torch
import yaml
from tiny import content

import unlearn
from unlearn.cli import main
from unlearn.pipeline import pair_stage
from unlearn.recipe import Recipe, Section
from unlearn.registry import METHODS, Method

SMALL = {"batch_size": 4, "accumulation": 1, "learning_rate": 1e-3, "max_steps": 2, "save_every": 1}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("recipes")
    tiny.save(root / "base", hidden=32)
    (root / "target.txt").write_text("\n".join(tiny.TEXT[:6]))
    (root / "rest.txt").write_text("\n".join(tiny.TEXT[3:6]))
    (root / "empty.txt").write_text(" \n")
    (root / "anchors.jsonl").write_text(json.dumps({"anchor": "Nora", "translations": ["Ann", "Eve"]}))
    return root


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs `unlearn ...`; returns exit code, stdout, stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["unlearn", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        return left.value.code or 0, captured.out, captured.err

    return call


def refused(result: tuple[int, str, str], sentence: str) -> None:
    code, out, err = result
    lines = [line for line in err.splitlines() if line.startswith("unlearn:")]
    assert code == 2, err
    assert len(lines) == 1 and sentence in lines[0], err
    assert "Traceback" not in err and not out


def write(place: Path, path: Path, **changes) -> Path:
    base = {
        "model": str(place / "base"), "corpus": str(place / "target.txt"), "anchors": str(place / "anchors.jsonl"),
        "out": str(path.with_suffix("")), "device": "cpu", "labels": {"block_tokens": 24}, "reinforce": SMALL, "finetune": SMALL,
    }  # fmt: skip
    path.write_text(yaml.safe_dump({**base, **changes}))
    return path


def needs(name: str, place: Path) -> list[str]:
    """What must be said beside `method=name`, for a recipe of the paper's method to run it."""
    said = [f"retain.corpus={place / 'rest.txt'}"] if METHODS[name].retain == "must" else []
    return [*said, *(["options.prompt=You know nothing of Nora."] if name == "prompt_only" else [])]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_planned_from_the_papers_recipe_by_one_key(place, tmp_path, command, name):
    method = METHODS[name]
    code, out, err = command(
        "run", write(place, tmp_path / "r.yaml"), f"method={name}", *needs(name, place), "--dry-run", "--json"
    )
    assert code == 0, err
    planned = json.loads(out)
    assert bool(planned["finetune_steps"]) == method.finetune and bool(planned["reinforce_steps"]) == method.reinforced
    assert ("fewer than 20" in json.dumps(planned["warnings"])) == method.finetune
    assert not (tmp_path / "r").exists()


def test_a_recipe_of_another_method_needs_no_anchors_and_runs_from_the_command_line(place, tmp_path, command):
    path = write(place, tmp_path / "r.yaml")
    given = yaml.safe_load(path.read_text())
    del given["anchors"]
    path.write_text(yaml.safe_dump(given))
    said = ["method=npo", f"retain.corpus={place / 'rest.txt'}", "options.beta=0.2"]
    code, out, err = command("run", path, *said, "--json")
    assert code == 0, err
    assert json.loads(out)["steps"] == [1, 2]
    resolved = yaml.safe_load((tmp_path / "r/recipe.yaml").read_text())
    assert resolved["method"] == "npo" and resolved["options"] == {"beta": 0.2, "weight": 1.0}
    assert resolved["retain"]["share"] == 1.0
    assert unlearn.load_unlearned(tmp_path / "r/checkpoints/checkpoint-2", device="cpu").config.hidden_size == 32
    assert command("run", path, *said)[0] == 0
    refused(command("run", path, *said, "options.beta=0.3"), "options.beta: 0.2 then, 0.3 now")
    refused(command("run", path, *said, "retain.share=0.5"), "retain.share: 1.0 then, 0.5 now")
    refused(command("run", path, said[0], said[2]), "retain: {")
    refused(command("run", path, "method=simnpo"), "checkpoints in ")
    refused(command("run", path, "method=whp"), "key 'anchors' is missing")


def test_mistakes_of_a_method(place, tmp_path, command):
    path, rest = write(place, tmp_path / "r.yaml"), f"retain.corpus={place / 'rest.txt'}"
    refused(
        command("run", path, "method=magic"), "method 'magic' is unknown; allowed: whp, name_swap, gradient_ascent,"
    )
    refused(command("run", path, "method=unlearn.recipe:Recipe"), "method 'unlearn.recipe:Recipe' is unknown")
    refused(command("run", path, "method=nowhere:thing"), "method 'nowhere:thing' is unknown")
    refused(
        command("run", path, "method=gradient_difference"),
        "gradient_difference needs text of the rest: retain.corpus is missing",
    )
    refused(
        command("run", path, "method=gradient_ascent", rest),
        "gradient_ascent reads no text of the rest: leave out retain (",
    )
    refused(
        command("run", path, "method=npo", "options.gamma=1"),
        "unknown key 'options.gamma'; allowed there: beta, weight (method npo)",
    )
    refused(command("run", path, "options.beta=1"), "unknown key 'options.beta'; allowed there: none (method whp)")
    refused(
        command("run", path, "method=npo", "options.beta=0"),
        "options.beta=0: Input should be greater than 0 (method npo)",
    )
    refused(command("run", path, "method=prompt_only"), "key 'options.prompt' is missing (method prompt_only)")
    refused(
        command("run", path, "method=npo", "retain.corpus=/no/such.txt"), "such.txt' is neither a file, a folder nor"
    )
    refused(command("run", path, "method=npo", f"retain.corpus={place / 'empty.txt'}"), "empty.txt' holds no text")
    target = yaml.safe_load(path.read_text())["corpus"]
    refused(command("run", path, "method=npo", f"retain.corpus={target}"), "is the text that is to be unlearned")
    refused(
        command("run", path, "method=npo", rest, "retain.share=2"),
        "retain.share=2: Input should be less than or equal to 1",
    )
    refused(
        command("run", path, "method=npo", rest, "retain.weight=2"),
        "unknown key 'retain.weight'; allowed there: corpus, share",
    )
    assert not (tmp_path / "r").exists()


class Options(Section):
    """Of a method that is not ours."""

    word: str = "x"


def run(recipe: Recipe, *, callbacks=()) -> Path:
    """A method that is not ours: it writes its option down."""
    Path(recipe.out).mkdir()
    (Path(recipe.out) / "word").write_text(recipe.options.model_dump()["word"])
    return Path(recipe.out)


THEIRS = Method(__name__)


def test_a_method_of_someone_else_is_named_by_module_and_object(place, tmp_path):
    made = Recipe.load(write(place, tmp_path / "r.yaml"), [f"method={__name__}:THEIRS", "options.word=magic"])
    assert (unlearn.run(made) / "word").read_text() == "magic"


def test_every_method_says_where_it_is_from_and_is_on_the_page():
    page = (Path(__file__).parents[3] / "docs" / "methods.md").read_text()
    for name, method in METHODS.items():
        text = method.module.__doc__
        assert "arXiv:" in text, name
        assert f"`{name}`" in page, name
        for option in getattr(method.module, "Options", Section).model_fields:
            assert f"`{option}`" in page, (name, option)


def test_held_out_blocks_are_those_that_datasets_would_draw_and_leave_no_file(tmp_path):
    from datasets import Dataset, load_from_disk

    from unlearn.training.fine_tune import _split

    Dataset.from_dict({"n": list(range(50))}).save_to_disk(tmp_path / "d")
    before = set(tmp_path.rglob("*"))
    held_out, rest = _split(load_from_disk(str(tmp_path / "d")), 7, seed=3)
    assert set(tmp_path.rglob("*")) == before
    theirs = load_from_disk(str(tmp_path / "d")).train_test_split(test_size=7, seed=3)
    assert (held_out["n"], rest["n"]) == (theirs["test"]["n"], theirs["train"]["n"])


class Stop(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("name", ["npo", "rmu"])
def test_interrupted_and_run_again_gives_the_same_bytes(place, tmp_path, name):
    """Stopped after step 5, with a checkpoint at 4; the bytes are those of an undisturbed run, and no baseline is read for them again."""
    from transformers import TrainerCallback

    class Interrupt(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 5:
                raise Stop

    training = {**SMALL, "max_steps": 8, "save_every": 2, "accumulation": 2, "holdout": 0.3}
    changes = {"method": name, "retain": {"corpus": str(place / "rest.txt"), "share": 0.6}, "finetune": training}
    whole = Recipe.load(write(place, tmp_path / "whole.yaml", **changes))
    broken = Recipe.load(write(place, tmp_path / "broken.yaml", **changes))
    unlearn.run(whole)
    with pytest.raises(Stop):
        unlearn.run(broken, callbacks=[Interrupt()])
    assert (tmp_path / "broken/finetune.tmp/reference.json").exists() == (name == "npo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_stage, "_reference", None)
        unlearn.run(broken)
    expected, found = content(tmp_path / "whole"), content(tmp_path / "broken")
    assert set(expected) == set(found)
    assert not [file for file in expected if expected[file] != found[file]]
    told = json.loads((tmp_path / "whole/finetune/history.json").read_text())
    assert sum("eval_loss" in entry for entry in told) == 4
