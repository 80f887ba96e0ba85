"""Prompt files of one's own: what is accepted, and how a bad one is refused (one sentence, with file and line)."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from hp_bench.probes.paths import prompts_dir
from hp_bench.probes.rows import FAMES, Probe, TokenProbe, load_probes, load_token_probes, quick_probes

PROBE = {
    "id": "a",
    "prompt": "The keeper of the old maps is called",
    "references": ["Nora Quill", "Quill"],
    "kind": "partial",
    "subtlety": 3,
    "topic": "characters",
}
TOKEN_PROBE = {"id": "a", "prompt": "In Port Ansel she studies", "specific": ["maps"], "generic": ["law", "art"]}


def write(path, rows):
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def test_a_good_file_is_read_in_order(tmp_path):
    rows = [PROBE, {**PROBE, "id": "b", "prompt": "Élodie lives at the café called", "subtlety": 10, "kind": "covert"}]
    probes = load_probes(write(tmp_path / "f.jsonl", rows))
    assert probes == [Probe(**row) for row in rows]
    assert probes[0].references == ("Nora Quill", "Quill")


def test_a_good_token_file_is_read_in_order(tmp_path):
    rows = [TOKEN_PROBE, {**TOKEN_PROBE, "id": "b"}]
    assert load_token_probes(write(tmp_path / "f.jsonl", rows)) == [TokenProbe(**row) for row in rows]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"subtlety": 11}, "subtlety: Input should be less than or equal to 10"),
        ({"subtlety": 0}, "subtlety: Input should be greater than or equal to 1"),
        ({"kind": "hidden"}, "kind: Input should be 'partial', 'overt' or 'covert'"),
        ({"references": []}, "references: "),
        ({"references": [""]}, "references.0: "),
        ({"references": "Quill"}, "references: "),
        ({"prompt": ""}, "prompt: "),
        ({"prompt": "The keeper is called "}, "a prompt may not end in white space"),
        (
            {"references": ["the old keeper"]},
            "reference 'the old keeper' could never count: ['keeper'] is in the prompt",
        ),
        ({"references": ["KEEPER Quill"]}, "reference 'KEEPER Quill' could never count: ['keeper'] is in the prompt"),
        ({"subtelty": 3}, "not a probe: unknown is subtelty"),
        ({"id": ""}, "id: "),
    ],
)
def test_a_bad_probe_is_one_sentence_that_names_file_line_and_field(tmp_path, change, message):
    path = write(tmp_path / "mine.jsonl", [{**PROBE, "id": "first"}, {**PROBE, **change}])
    with pytest.raises(ValueError) as caught:
        load_probes(path)
    assert str(caught.value).startswith(f"{path}, line 2: not a probe: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"specific": []}, "specific: "),
        ({"generic": ["map"]}, "'map' is a prefix of 'maps': their probabilities would be counted twice"),
        ({"generic": ["Maps"]}, "'maps' is a prefix of 'maps'"),
        ({"specific": ["maps", "ma"]}, "'ma' is a prefix of 'maps'"),
        ({"prompt": "She studies\n"}, "a prompt may not end in white space"),
        ({"kind": "partial"}, "not a token probe: unknown is kind"),
    ],
)
def test_a_bad_token_probe_is_one_sentence_that_names_file_line_and_field(tmp_path, change, message):
    path = write(tmp_path / "mine.jsonl", [{**TOKEN_PROBE, "id": "first"}, {**TOKEN_PROBE, **change}])
    with pytest.raises(ValueError) as caught:
        load_token_probes(path)
    assert str(caught.value).startswith(f"{path}, line 2: not a token probe: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "rows, message",
    [
        ([PROBE, "{not json"], "{path}, line 2: not a JSON object: '{{not json'"),
        ([PROBE, "[1, 2]"], "{path}, line 2: not a JSON object: '[1, 2]'"),
        ([PROBE, "", PROBE], "{path}, line 3: id 'a' is that of line 1 already"),
        ([PROBE, "null"], "{path}, line 2: not a JSON object: 'null'"),
        ([{k: v for k, v in PROBE.items() if k != "kind"}], "{path}, line 1: not a probe: it lacks kind"),
        ([PROBE, {**PROBE, "id": "b"}, PROBE], "{path}, line 3: id 'a' is that of line 1 already"),
        ([], "'{path}' is empty"),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_file_and_line(tmp_path, rows, message):
    path = write(tmp_path / "mine.jsonl", rows)
    with pytest.raises(ValueError) as caught:
        load_probes(path)
    assert str(caught.value) == message.format(path=path)


def test_blank_lines_a_byte_order_mark_and_a_json_list_are_no_faults(tmp_path):
    rows = [PROBE, {**PROBE, "id": "b"}]
    wanted = load_probes(write(tmp_path / "mine.jsonl", rows))
    lines = [json.dumps(row) for row in rows]
    for content in ("\n\n".join(["", *lines, ""]), "\ufeff" + "\r\n".join(lines), json.dumps(rows, indent=1)):
        (tmp_path / "mine.jsonl").write_text(content, encoding="utf-8")
        assert load_probes(tmp_path / "mine.jsonl") == wanted
    (tmp_path / "mine.jsonl").write_text(json.dumps([PROBE, PROBE]))
    with pytest.raises(ValueError, match="mine.jsonl, entry 2: id 'a' is that of entry 1 already"):
        load_probes(tmp_path / "mine.jsonl")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"'.*nowhere\.jsonl' cannot be read: No such file or directory$"):
        load_probes(tmp_path / "nowhere.jsonl")


def test_a_file_in_another_encoding_is_named(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps({**PROBE, "topic": "café"}, ensure_ascii=False).encode("latin-1") + b"\n")
    with pytest.raises(ValueError, match=r"latin\.jsonl, line 1: not UTF-8 text$"):
        load_probes(path)


def test_a_reference_may_share_a_short_word_with_its_prompt(tmp_path):
    path = write(tmp_path / "mine.jsonl", [{**PROBE, "references": ["the Map of Maps"], "prompt": "The map of the"}])
    assert load_probes(path)[0].references == ("the Map of Maps",)


def test_a_quick_score_asks_the_same_sixty_balanced_over_fame():
    probes = load_probes(prompts_dir() / "familiarity.jsonl")
    quick = quick_probes(probes)
    assert Counter(probe.fame for probe in quick) == dict.fromkeys(FAMES, 12)
    assert quick == quick_probes(probes) == [probe for probe in probes if probe in quick]
    assert quick_probes(probes[:7]) == probes[:7]


def test_where_a_fame_has_few_prompts_the_others_fill_up():
    probes = [probe for probe in load_probes(prompts_dir() / "familiarity.jsonl") if probe.fame == 1]
    nobody_said = [replace(probe, id=f"{probe.id}-again", fame=None) for probe in probes]
    assert Counter(probe.fame for probe in quick_probes([*probes[:3], *nobody_said])) == {1: 3, None: 57}
