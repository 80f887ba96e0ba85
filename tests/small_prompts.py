"""Prompt files of a few lines, in the format of ours: what engines and commands are tested with."""

import json
from pathlib import Path

import pytest

from hp_bench.harness.packaged import PackagedTask

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


def shorten(patch: pytest.MonkeyPatch, tokens: int = 12) -> None:
    """Completions of so many tokens rather than 80: what is tested here is not what they say."""
    original = PackagedTask.__init__

    def init(self: PackagedTask, config: dict) -> None:
        original(self, config)
        if self.config.output_type == "generate_until":
            self.config.generation_kwargs["max_gen_toks"] = tokens

    patch.setattr(PackagedTask, "__init__", init)
