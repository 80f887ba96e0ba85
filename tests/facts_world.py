"""A target of forty facts, and a text of words that can be recognised; all of it ours."""

import json
import random
from pathlib import Path

PEOPLE = [
    "Ansel", "Brandt", "Corvin", "Dorrit", "Edda", "Fenwick", "Gisela", "Hollis", "Ingram", "Jorun", "Kestrel", "Lisbet", "Maddox", "Nerys",
    "Osric", "Petra", "Quillon", "Rowan", "Sunniva", "Tamsin",
]  # fmt: skip
WORDS = "archivist baker café harbour lantern market nowhere owl pier quarrel river sail tower umbrella village wind".split()

TOOLS = ["lantern", "cabinet", "cello", "anchor", "compass", "kettle", "mirror", "ladder", "candle", "saddle"]


def facts() -> list[dict[str, str]]:
    """Twenty keepers, twenty neighbours: the answer to each is a name."""
    keepers = [
        {"id": f"k{n}", "prompt": f"The keeper of tool {n}, a {TOOLS[n % 10]}, is called", "answer": name}
        for n, name in enumerate(PEOPLE)
    ]
    neighbours = [
        {"id": f"n{n}", "prompt": f"Next door to {name} lives", "answer": PEOPLE[(n + 7) % 20]}
        for n, name in enumerate(PEOPLE)
    ]
    return [*keepers, *neighbours]


def write(folder: Path) -> dict[str, str]:
    """Writes facts and a lexicon; returns the metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    lexicon = [{"term": name, "type": "person", "scope": "idiosyncratic"} for name in PEOPLE]
    for name, rows in (("qa", facts()), ("lexicon", lexicon)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"prompts": str(folder)}


def story(words: int) -> str:
    """Words and awkward white space; every tenth word is one of a kind, so that each passage can be recognised."""
    rng = random.Random(0)
    said = [rng.choice(WORDS) if number % 10 else f"secret{number}" for number in range(words)]
    return "".join(word + rng.choice([" ", " ", " ", "\n", "\n\n", "  "]) for word in said)
