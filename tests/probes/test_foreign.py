"""Prompt files that researchers have are read as they are; one bad line never costs the others."""

import json

import pytest

from hp_bench.probes.foreign import NO_REFERENCE, read_probes
from hp_bench.probes.rows import load_probes
from hp_bench.scoring.score import load_tasks

OURS = {
    "id": "a",
    "prompt": "The keeper of the lamp is",
    "references": ["Nora Quill"],
    "kind": "overt",
    "subtlety": 2,
    "topic": "people",
}


def authors(*prompts: tuple[str, list[str]]) -> str:
    return json.dumps([{"prompt": {"prompt": p, "references": r, "subtlety": 3}} for p, r in prompts])


def write(tmp_path, text: str):
    path = tmp_path / "prompts.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_authors_form_is_read_as_it_is(tmp_path):
    path = write(
        tmp_path,
        authors(
            ("Nora went up to the lamp with", ["Nora Quill", "Port Ansel"]), ("Nora looked at Nora and saw ", ["Nora"]),
            ("Nora went up to the lamp with", ["Quill"]),
        ),
    )  # fmt: skip
    probes, changed = read_probes(path)
    assert [(p.prompt, p.references) for p in probes] == [
        ("Nora went up to the lamp with", ("Port Ansel",)), ("Nora looked at Nora and saw", (NO_REFERENCE,)),
    ]  # fmt: skip
    assert [p.subtlety for p in probes] == [3, 3] and len({p.id for p in probes}) == 2
    for said in (
        "2 references that stand in their prompt dropped",
        "1 prompt without a reference",
        "1 double prompt",
        "end of 1 prompt",
    ):
        assert said in changed


def test_our_own_files_are_read_unchanged(tmp_path):
    path = write(tmp_path, json.dumps(OURS) + "\n")
    assert read_probes(path) == (load_probes(path), "")


BROKEN = {
    "a blank line": "",
    "half an object": '{"id": "b", "prom',
    "a number": "17",
    "a list": "[1, 2]",
    "no prompt": '{"id": "b", "references": ["x"]}',
    "an empty prompt": '{"prompt": "  ", "references": ["x"]}',
    "a prompt that is no text": '{"prompt": 5, "references": ["x"]}',
    "references that are no list": '{"prompt": "The lamp is", "references": "x"}',
    "references that are no text": '{"prompt": "The lamp is", "references": [3]}',
    "a subtlety out of range": '{"prompt": "The lamp is", "references": ["x"], "subtlety": 70}',
    "a fame out of range": '{"prompt": "The lamp is", "references": ["x"], "fame": 9}',
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN.keys())
def test_one_bad_line_does_not_cost_the_others(tmp_path, line):
    others = [{**OURS, "id": f"p{n}", "prompt": f"The keeper of lamp {n} is"} for n in range(20)]
    rows = [json.dumps(row) for row in others]
    probes, changed = read_probes(write(tmp_path, "\n".join([*rows[:10], line, *rows[10:]])))
    assert [probe.id for probe in probes] == [row["id"] for row in others]
    assert changed == ("1 line that is no prompt left out" if line else "")


def test_one_bad_entry_of_a_list_does_not_cost_the_others(tmp_path):
    text = authors(("Nora went up to the lamp with", ["Port Ansel"]), ("Ben came down to", ["Port Ansel"]))
    probes, changed = read_probes(write(tmp_path, text.replace('[{"prompt"', '[{"prompt": {"prompt" 3}}, {"prompt"')))
    assert [probe.prompt for probe in probes] == ["Nora went up to the lamp with", "Ben came down to"]
    assert changed == "1 line that is no prompt left out"
    probes, _ = read_probes(write(tmp_path, text[:-1]))
    assert len(probes) == 2


def test_lines_that_are_no_utf8_are_said_to_be_that(tmp_path):
    """A file saved as Latin-1 lost every prompt with an accent, and only their number was told."""
    path = write(tmp_path, "")
    path.write_bytes(
        b"\n".join(
            json.dumps({**OURS, "prompt": one}, ensure_ascii=False).encode("latin-1")
            for one in ("A lamp", "Un caf\xe9")
        )
    )
    probes, changed = read_probes(path)
    assert [probe.prompt for probe in probes] == ["A lamp"]
    assert changed == "1 line that is no prompt left out, not being UTF-8 text"


def test_a_csv_of_prompts_is_read(tmp_path):
    path = tmp_path / "prompts.csv"
    path.write_text('id,prompt\na,"The keeper, of the lamp, is"\n')
    ((probe,), changed) = read_probes(path)
    assert (probe.id, probe.prompt, probe.references) == ("a", "The keeper, of the lamp, is", (NO_REFERENCE,))
    assert changed == "1 prompt without a reference judged by the lexicon alone"


def test_a_file_without_one_prompt_is_refused_with_its_first_fault(tmp_path):
    with pytest.raises(ValueError, match="line 1: not a probe"):
        read_probes(write(tmp_path, '{"id": "b"}\n'))
    with pytest.raises(ValueError, match="is empty"):
        read_probes(write(tmp_path, ""))
    with pytest.raises(ValueError, match="cannot be read"):
        read_probes(tmp_path / "nowhere.jsonl")


def test_the_task_says_what_it_changed_and_strict_refuses(tmp_path, caplog):
    path = write(
        tmp_path, json.dumps(OURS) + "\n" + json.dumps({**OURS, "id": "b", "prompt": "The lamp of Nora burns "}) + "\n"
    )
    task = load_tasks(["hp_familiarity"], {"prompts": str(path)})["tasks"]["hp_familiarity"]
    assert len(task.eval_docs) == 2
    assert "1 reference that stands in its prompt dropped" in task.config.metadata["prompts_changed"]
    assert any("strict=true" in record.message for record in caplog.records)
    with pytest.raises(ValueError, match="line 2: not a probe"):
        load_tasks(["hp_familiarity"], {"prompts": str(path), "strict": True})
