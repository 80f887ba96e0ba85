"""A target of forty facts, and a dictionary of other names for it; all of it ours."""

import json
from pathlib import Path

PEOPLE = [
    "Ansel", "Brandt", "Corvin", "Dorrit", "Edda", "Fenwick", "Gisela", "Hollis", "Ingram", "Jorun", "Kestrel", "Lisbet", "Maddox", "Nerys",
    "Osric", "Petra", "Quillon", "Rowan", "Sunniva", "Tamsin",
]  # fmt: skip
OTHERS = [
    "Abel", "Beryl", "Cyril", "Daphne", "Ernest", "Flora", "Gerald", "Hilda", "Ivor", "Joyce", "Kenneth", "Lorna", "Mervyn", "Noreen", "Oscar",
    "Pamela", "Quentin", "Rosalind", "Stanley", "Thelma",
]  # fmt: skip
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


def anchors() -> list[dict[str, object]]:
    """Two translations a name."""
    return [
        {"anchor": name, "translations": [OTHERS[n], f"{OTHERS[n]}son"], "entity": f"person {n}"}
        for n, name in enumerate(PEOPLE)
    ]


def write(folder: Path) -> dict[str, str]:
    """Writes facts, dictionary and a lexicon; returns the metadata of `hp_renamed`."""
    folder.mkdir(parents=True, exist_ok=True)
    lexicon = [{"term": name, "type": "person", "scope": "idiosyncratic"} for name in PEOPLE]
    for name, rows in (("qa", facts()), ("anchors", anchors()), ("lexicon", lexicon)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"prompts": str(folder), "anchors": str(folder / "anchors.jsonl")}
