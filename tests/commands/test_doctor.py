"""`hp-bench doctor`: a model that a score would refuse is refused with the reason, one that is fit is not, and nothing is scored."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_prompts
import tiny
import torch
from own_settings import with_json
from typer.testing import CliRunner

from hp_bench.cli import app
from hp_bench.scoring import doctor


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("doctor")
    tiny.save(root / "base")
    tiny.save(root / "short", context=24)
    tiny.llama(100).save_pretrained(root / "few")
    tiny.tokenizer("byte_bpe").save_pretrained(root / "few")
    small_prompts.write(root / "prompts")
    with pytest.MonkeyPatch.context() as patch:
        small_prompts.shorten(patch)
        yield root


def run(place: Path, *words: object):
    given = ["doctor", *map(str, words), "--device", "cpu", "--metadata", f"prompts={place / 'prompts'}"]
    return CliRunner().invoke(app, given)


def test_the_machine_alone(place):
    done = run(place, "--json")
    here = json.loads(done.stdout)
    assert done.exit_code == 0 and here["model"] is None
    assert here["machine"]["cores"] >= 1 and here["machine"]["engines"]["hf"] == ""
    assert here["machine"]["versions"]["torch"][0] == torch.__version__.partition("+")[0]
    assert "pip install 'hp-bench[vllm]'" in run(place).stdout or here["machine"]["engines"]["vllm"] == ""


def test_a_model_that_is_fit(place, tmp_path):
    with_json(place / "base", tmp_path / "own", "generation_config.json", repetition_penalty=3.0)
    done = run(place, tmp_path / "own", "--json")
    found = json.loads(done.stdout)["model"]
    assert done.exit_code == 0 and not found["refused"]
    assert found["parameters"] == sum(p.numel() for p in tiny.llama(len(tiny.tokenizer("byte_bpe"))).parameters())
    assert (found["dtype"], found["context"], found["chat_template"]) == ("float32", 512, False)
    assert found["requests"] > 0 and found["seconds"] >= 0
    assert "repetition_penalty=3.0" in found["findings"][0]
    said = " ".join(run(place, place / "base").stdout.split())
    assert (
        found["completions"] == 4
        and f": 4 completions to write, {found['requests'] - 4} probabilities to compute)" in said
    )


def test_a_machine_too_slow_to_try_it_is_said_to_be_so(place, monkeypatch):
    """Beside other work the trials took minutes, for a number that the other work made wrong."""
    monkeypatch.setattr(doctor, "PATIENCE", -1)
    asked = []
    monkeypatch.setattr(doctor, "_timed", lambda lm, kind, requests, new: asked.append(new) or 0.0)
    done = run(place, place / "base")
    assert done.exit_code == 0 and "not timed: to try a few prompts took more than" in " ".join(done.stdout.split())
    assert len(asked) == 2  # one to warm up, one of the first kind


@pytest.mark.parametrize(
    ("name", "reason"),
    [("short", r"requests of hp_familiarity cannot be asked: the prompt and"), ("few", "and the model knows 100")],
)
def test_a_model_that_a_score_would_refuse(place, name, reason):
    done = run(place, place / name)
    assert done.exit_code == 1 and reason in done.stderr
    assert "would be refused" in done.stderr and "a score" not in done.stdout


def test_a_broken_tokenizer_is_called_broken_and_not_missing(place, tmp_path):
    shutil.copytree(place / "base", tmp_path / "cut")
    (tmp_path / "cut" / "tokenizer.json").write_text('{"version": "1.0"')
    done = run(place, tmp_path / "cut")
    assert done.exit_code == 1 and "cannot be loaded (" in done.stderr and "no tokenizer" not in done.stderr


def test_weights_larger_than_memory_are_not_loaded(place, monkeypatch):
    settings = doctor.EngineSettings(device="cpu")
    tasks = {"tasks": {}}
    monkeypatch.setattr(doctor, "_gib", lambda size: float(size))
    size = sum(file.stat().st_size for file in (place / "base").glob("*.safetensors"))
    found = doctor.fitness(str(place / "base"), settings, tasks, size - 1)
    assert found.refused == f"its weights need {size:.1f} GiB of memory, and {size - 1:.1f} GiB are free here"
    assert not doctor.fitness(str(place / "base"), settings, tasks, size).refused
    wide = doctor.EngineSettings(device="cpu", dtype="float64")
    assert f"need {2 * size:.1f} GiB" in doctor.fitness(str(place / "base"), wide, tasks, size).refused
