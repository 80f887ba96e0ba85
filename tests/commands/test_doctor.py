"""`hp-bench doctor`: a model that a score would refuse is refused with the reason, one that is fit is not, and nothing is scored."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_prompts
import tiny
import torch
from lm_eval.api.instance import Instance
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


class Machine:
    """A model whose time is known: 20 ms to read a prompt, and a step of decoding 10 ms and 1 ms a row; so many times slower."""

    batch_size = 4

    def __init__(self, slower):
        self.now, self.slower = 0.0, slower

    def perf_counter(self):
        return self.now

    def cost(self, rows, new):
        return self.slower * (0.020 * rows + 0.001 * (10 + rows) * max(new - 1, 0))

    def generate_until(self, requests, disable_tqdm):
        self.now += self.cost(len(requests), requests[0].args[1]["max_gen_toks"])

    def loglikelihood(self, requests, disable_tqdm):
        self.now += self.cost(len(requests), 0)


@pytest.mark.parametrize(
    ("slower", "at_most", "tried"),
    [(1, False, 4.0), (200, True, 120.0), (2000, True, 400.0)],
)
def test_the_time_of_a_score_is_always_told(monkeypatch, slower, at_most, tried):
    """On a slow machine there was none; now it is at least the truth, and the trials end, after a prompt or two of each kind."""
    lm = Machine(slower)
    monkeypatch.setattr(doctor, "time", lm)
    asked = [Instance("generate_until", {}, ("Once", {"max_gen_toks": 80}), n) for n in range(8)]
    asked += [Instance("loglikelihood", {}, ("Once", " upon"), n) for n in range(12)]
    truth = 2 * lm.cost(4, 80) + 3 * lm.cost(4, 0)
    seconds, bound = doctor._seconds(lm, asked)
    assert bound is at_most and lm.now < tried
    assert seconds == pytest.approx(truth, abs=0.1) if not at_most else truth <= seconds < 4 * truth


def test_the_time_stands_in_the_last_line(place, monkeypatch):
    for told, line in (((90.4, False), "about 90 seconds ("), ((1230.0, True), "about 20 minutes or less (")):
        monkeypatch.setattr(doctor, "_seconds", lambda lm, requests, told=told: told)
        assert f"a score {line}" in " ".join(run(place, place / "base").stdout.split())


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
