"""`hp-bench score` at the command line: how its arguments are read, and what is refused before the first token."""

import errno
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
import small_prompts
import tiny
import torch
from huggingface_hub import ModelCard, constants

from hp_bench.cli import main
from hp_bench.probes.paths import prompts_dir
from hp_bench.results.scorecard import Scorecard
from unlearn import files


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("command")
    tiny.save(root / "base")
    small_prompts.write(root / "prompts")
    with pytest.MonkeyPatch.context() as patch:
        small_prompts.shorten(patch)
        yield root


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Runs `hp-bench ...` in an empty folder; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hp-bench", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return call


def refused(result: tuple[int, str, str]) -> str:
    code, out, err = result
    assert code == 2 and not out and "Traceback" not in err, err
    (line,) = [line for line in err.splitlines() if line.startswith("hp-bench: ")]
    return line


@pytest.mark.parametrize(
    "words", [("stride=1", "text=x"), ("stride=1,text=x",), ("stride=1", "--metadata", "text=x"), ('{"stride": 1, "text": "x"}',)]
)  # fmt: skip
def test_metadata_is_written_in_every_way_that_lm_eval_reads(command, monkeypatch, words):
    found = []
    monkeypatch.setattr(
        "hp_bench.scoring.score.load_tasks", lambda _, metadata: found.append(metadata) or {"tasks": {}}
    )
    command("score", "base", "--metadata", *words)
    assert found == [{"stride": 1, "text": "x"}]


def test_a_setting_that_no_task_has_is_not_passed_over(command, place):
    """`--metadata prompt=FILE` scored our own 300 prompts without a word; an unknown --engine-arg was a traceback."""
    said = refused(command("score", place / "base", "--metadata", f"prompt={place / 'prompts'}"))
    assert "--metadata 'prompt' is no setting of these tasks; allowed: prompts, lexicon, judge," in said
    words = ("--metadata", f"prompts={place / 'prompts'}", "--engine-arg", "tensor_parallel_size=2")
    code, out, err = command("score", place / "base", *words)
    assert code == 1 and not out and "Traceback" not in err
    assert "hp-bench: base: engine hf has no setting 'tensor_parallel_size' (--engine-arg)" in err


def test_no_task_is_no_score(command):
    """It scored nothing, said where the scorecards are, and left with 0."""
    assert "--tasks '' names no task" in refused(command("score", "base", "--tasks", ""))


def test_metadata_takes_several_pairs_as_lm_eval_does_and_none_is_a_model(command, place):
    """`--metadata prompts=F lexicon=G` scored a model called `lexicon=G`."""
    lexicon = prompts_dir() / "lexicon.jsonl"
    words = (
        "score",
        place / "base",
        "--metadata",
        f"prompts={place / 'prompts'}",
        f"lexicon={lexicon}",
        "--device",
        "cpu",
        "--card",
    )
    code, _, err = command(*words)
    assert code == 0, err
    assert [path.name for path in Path("scores/scorecards").iterdir()] == ["base.json"]
    card = Scorecard.load("scores/scorecards/base.json")
    shown = {
        result.metric_type: result.metric_value for result in ModelCard.load("scores/cards/base.md").data.eval_results
    }
    assert shown == {m.metric: m.value for m in card.measurements if m.value is not None}
    assert shown["familiarity"] == card.get("hp_familiarity", "familiarity").value


@pytest.mark.parametrize("words", [("lexicon=l.jsonl",), ("base", "prompts=p.jsonl"), ("base", "--out", "o", "a=b")])
def test_a_pair_without_its_option_is_no_model(command, words):
    assert "is no model: key=value comes after --metadata" in refused(command("score", *words))


def test_a_folder_may_be_called_like_a_pair(command, place):
    (Path("lr=1") / "deep").mkdir(parents=True)
    code, _, err = command("score", "lr=1", "--tasks", "hp_familiarity", "--metadata", f"prompts={place / 'prompts'}")
    assert code == 1 and "'lr=1'" in err.replace(str(Path.cwd()) + "/", "") and "holds no model" in err


def test_an_empty_name_is_no_model(command):
    """`score "$MODEL"` scored the current folder under the name of the baseline."""
    assert "a model's name is empty" in refused(command("score", ""))


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_a_place_that_cannot_be_written_to_is_refused_before_a_model_is_loaded(command, place, monkeypatch, number):
    """Everything was generated, and then there was a traceback."""

    def no_place(dir):
        raise OSError(number, "it says why")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", no_place)
    monkeypatch.setattr("hp_bench.engines.loader.Loader.__call__", lambda *_: pytest.fail("a model was loaded"))
    words = ("score", place / "base", "--metadata", f"prompts={place / 'prompts'}", "--out", "o/new")
    assert f"folder 'o/new' cannot be made or written to ({Path.cwd()}: it says why)" in refused(command(*words))


def test_a_file_in_the_place_of_the_folder(command, place):
    Path("file").write_text("mine")
    words = ("score", place / "base", "--metadata", f"prompts={place / 'prompts'}", "--out", "file/new")
    assert "Not a directory" in refused(command(*words))


def test_a_data_set_that_is_not_to_be_had_is_one_sentence_and_v_tells_the_rest(command, place, monkeypatch, caplog):
    """It took half a minute of attempts, and ended in a traceback through lm-eval and datasets."""
    words = ("score", place / "base", "--tasks", "hp_utility")
    said = refused(command(*words))
    for part in ("a data set of hp_utility is neither", "allenai/winogrande", "HF_HOME", "HF_HUB_OFFLINE=1"):
        assert part in said
    with caplog.at_level("DEBUG", "hp_bench"):
        command("-v", *words)
    assert "ConnectionError" in caplog.text


@pytest.mark.parametrize(("known", "proxy"), [(False, {}), (True, {}), (False, {"https": "http://proxy"})])
def test_the_hub_is_not_asked_again_and_again_where_its_address_is_not_known(monkeypatch, known, proxy):
    def looked_up(*_):
        if not known:
            raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(files, "getproxies", lambda: proxy)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    files.offline_if_unknown.__wrapped__()
    assert constants.HF_HUB_OFFLINE is datasets.config.HF_HUB_OFFLINE is not (known or bool(proxy))


def test_a_file_of_another_task_says_which_task_wanted_it(command, place):
    """`prompts=FILE` with the default tasks said only "not a token probe: specific: Field required", and so on for six more fields."""
    words = ("score", place / "base", "--metadata", f"prompts={place / 'prompts' / 'familiarity.jsonl'}")
    said = refused(command(*words))
    assert (
        "hp_token_probability: " in said
        and "line 1: not a token probe: it lacks specific, generic; unknown is references" in said
    )
    assert "(it reads files like prompts/token_probability.jsonl; name the task that yours is for by --tasks)" in said


def test_sentences_with_next_words_are_no_prompts_to_be_completed(command, place):
    """A file of hp_token_probability was asked by hp_familiarity: 30 completions, graded, and a number."""
    words = ("score", place / "base", "--tasks", "hp_familiarity")
    said = refused(command(*words, "--metadata", f"prompts={place / 'prompts' / 'token_probability.jsonl'}"))
    assert "line 1: not a probe: it lacks references, kind, subtlety, topic; unknown is specific, generic" in said
    assert "reads files like prompts/familiarity.jsonl" in said
