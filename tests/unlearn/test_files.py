"""Files that are whole or not there."""

import json
import os

import pytest

from unlearn.files import whole_file, whole_folder, write_json, write_lines, write_text


def test_a_writing_that_breaks_off_leaves_the_file_of_before_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "table.jsonl"
    write_lines(path, [{"a": "é"}, {"a": 2}])
    before = path.read_bytes()

    def rows():
        yield {"a": 3}
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_lines(path, rows())
    assert path.read_bytes() == before == '{"a": "é"}\n{"a": 2}\n'.encode()
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupt_takes_the_temporary_file_with_it(tmp_path):
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "page.html") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_of_two_processes_that_write_the_same_file_neither_publishes_the_others_half(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    with whole_file(path) as ours:
        ours.write_text("ours")
        with monkeypatch.context() as other:
            other.setattr(os, "getpid", lambda: 1)
            with pytest.raises(RuntimeError), whole_file(path) as theirs:
                theirs.write_text("half")
                raise RuntimeError
    assert path.read_text() == "ours" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writing_left_does_no_harm(tmp_path):
    path = tmp_path / "page.html"
    with whole_file(path) as temporary:
        temporary.write_text("old")
    temporary.write_text("half of one that was killed, and longer")
    write_text(path, "new")
    assert path.read_text() == "new"


def test_json_has_no_nan(tmp_path):
    path = tmp_path / "card.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"kl": float("nan")}, sort_keys=False)
    assert not path.exists()
    write_json(path, {"b": 1, "a": 2}, sort_keys=True)
    assert list(json.loads(path.read_text())) == ["a", "b"]


def test_a_stage_of_unlearning_that_breaks_off_leaves_no_folder_and_no_file(tmp_path):
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "runs" / "checkpoint-4") as temporary:
        (temporary / "config.json").write_text("half")
        raise RuntimeError
    with pytest.raises(RuntimeError), whole_file(tmp_path / "runs" / "shard.arrow") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert not list((tmp_path / "runs").iterdir())


def test_a_folder_holds_nothing_of_the_killed_process_that_began_it(tmp_path):
    with whole_folder(tmp_path / "checkpoint-4") as killed:
        pass
    (tmp_path / "checkpoint-4").replace(killed)
    (killed / "model.safetensors").write_text("half")
    with whole_folder(tmp_path / "checkpoint-4") as temporary:
        (temporary / "config.json").write_text("{}")
    assert [path.name for path in (tmp_path / "checkpoint-4").iterdir()] == ["config.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-4"]
