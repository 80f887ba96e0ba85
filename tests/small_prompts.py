"""Prompt files of a few lines, in the format of ours: what engines and commands are tested with."""

import json
from pathlib import Path

STORY = [
    ("The old wizard looked at the letter and", ["Hogwarts"]),
    ("On the train the three friends talked about", ["Quidditch"]),
    ("Everybody in the village was afraid of", ["Voldemort"]),
    ("The headmaster smiled and said that", ["Dumbledore"]),
]
WORDS = [
    ("The boy with the scar was called", ["Harry", "Potter"], ["Ann", "Tom"]),
    ("The letter came by", ["owl"], ["train", "mail"]),
    ("They played chess in the", ["dungeon"], ["garden", "house"]),
]


def write(folder: Path) -> dict[str, str]:
    """Writes both files; returns the metadata that makes tasks use them."""
    folder.mkdir(parents=True, exist_ok=True)
    stories = [
        {"id": f"s{n}", "prompt": prompt, "references": references, "kind": "partial", "subtlety": 5, "topic": "test"}
        for n, (prompt, references) in enumerate(STORY)
    ]
    words = [
        {"id": f"w{n}", "prompt": prompt, "specific": specific, "generic": generic}
        for n, (prompt, specific, generic) in enumerate(WORDS)
    ]
    for name, rows in (("familiarity.jsonl", stories), ("token_probability.jsonl", words)):
        (folder / name).write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return {"prompts": str(folder)}
