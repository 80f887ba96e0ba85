"""tasks/README.md says what the tasks are: every number with its range and direction."""

import re

from hp_bench.commands.tasks import _lines
from hp_bench.probes.paths import tasks_dir

SAME = {
    "hp_familiarity_chat": "the same numbers",
    "hp_aliases": "as in `hp_familiarity`, of people and places under a nickname",
    "hp_two_turns": "as in `hp_familiarity_chat`, of the second answer",
    "hp_qa_author_films": "the same six as `hp_neighbours`",
    **dict.fromkeys(
        (f"hp_languages_{code}" for code in ("de", "es", "it", "pt")), "the same five in German, Spanish, Italian"
    ),
}


def test_every_task_and_number_is_in_the_table_with_its_range_and_direction():
    text = (tasks_dir() / "README.md").read_text(encoding="utf-8")
    told, task = {}, ""
    for row in re.findall(r"^\|(.*)\|$", text.split("Tag `hp_bench`")[0], re.MULTILINE):
        cells = [cell.strip() for cell in row.split("|")]
        task = next(iter(re.findall(r"`(hp_\w+)`", cells[0])), task)
        for metric in re.findall(r"`(\w+)`", cells[1].split(":")[0].split("=")[0]):
            told[task, metric] = (cells[2], cells[3])
    for line in _lines():
        if line["task"] in SAME:
            assert SAME[line["task"]] in text
        else:
            assert told[line["task"], line["metric"]] == (f"{line['low']:g} to {line['high']:g}", line["better"])
    assert {name for name, _ in told} | set(SAME) == {path.stem for path in tasks_dir().glob("*.yaml")}
