"""Files that are whole or not there."""

import json

import pytest

from hp_bench.whole import whole, write_json, write_lines, write_text


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
    with pytest.raises(KeyboardInterrupt), whole(tmp_path / "page.html") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writing_left_is_written_over(tmp_path):
    path = tmp_path / "page.html"
    write_text(path, "old")
    with whole(path) as temporary:
        temporary.write_text("newer")
    temporary.write_text("half of one that was killed")
    write_text(path, "new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_json_has_no_nan(tmp_path):
    path = tmp_path / "card.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"kl": float("nan")})
    assert not path.exists()
    write_json(path, {"b": 1, "a": 2}, sort_keys=True)
    assert list(json.loads(path.read_text())) == ["a", "b"]
