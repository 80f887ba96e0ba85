"""Adversarial texts and random dictionaries for the method's tests; all of it ours."""

import random

ADVERSARIAL = [
    "Nora met Quill. Nora Quill met Captain Brandt, Brandt's dog and Brandt-on-Sea; Captain Brandt-Quill laughed.",
    'NoraNora Nora_Nora Nora1 1Nora (Nora) [Nora] "Nora" “Nora” ‘Nora’ Nora’s Nora\'s Nora-Quill',
    "Nora",
    "Port Ansel",
    "Brandt Brandt Brandt",
    "  Nora   Quill\n\nPort Ansel\n  \tBrandt  ",
    "Élodie naïve Élodie’s café; e\u0301lodie and Élodie again. Élo Élodies",
    "漢字 Nora漢字 漢字Nora 漢字 and 東京 and 東京 again, 東京。",
    "🦉 Nora 🦉🦉 Quill🦉 👩‍👩‍👧 Port Ansel 🦉",
    "The lantern. The magic lantern of Port Ansel! Magic lantern? lantern-lantern, lanterns; Lantern",
    "Port Ansel Port Port Ansel Ansel Quill Nora Quill Nora",
    "Nora...Quill—Brandt…Nora",
    "ﬁne ﬁre ﬁnd ½ ² Ⅷ Nora² ½Quill",
    "a Nora b Quill c Port Ansel d Captain Brandt e the old town of Port Ansel f",
]

NAMES = [
    "Nora", "Quill", "Nora Quill", "Port Ansel", "Port", "Ansel", "Captain Brandt", "Brandt", "lantern", "magic lantern", "Élodie",
    "東京", "漢字", "🦉", "Nora's", "Brandt-on-Sea", "the old town", "old", "ﬁre",
]  # fmt: skip
TRANSLATIONS = [
    "Ann", "Tom Baker", "the harbour", "a small town", "Captain Reed", "Reed", "lamp", "oil lamp", "Zoë", "北京", "x", "the lamp", "café",
    "🦊", "New York City", "\"Bob\"", "O'Neil", "the", "Annabella Fitzgerald-Worthington",
]  # fmt: skip


def dictionary(rng: random.Random) -> list[dict]:
    """Random anchors: entities now and then, one to three translations."""
    chosen = rng.sample(NAMES, rng.randint(1, len(NAMES)))
    anchors = []
    for name in chosen:
        anchors.append({"anchor": name, "translations": rng.sample(TRANSLATIONS, rng.randint(1, 3))})
    if rng.random() < 0.7:
        people = [a for a in anchors if "Nora" in a["anchor"] or "Quill" in a["anchor"]]
        for anchor in people:
            anchor["entity"] = "nora"
            anchor["translations"] = rng.sample(TRANSLATIONS, 2)
    return anchors


def text(rng: random.Random, words: int = 40) -> str:
    """Random prose around the names, with awkward punctuation and space between."""
    common = [
        "the",
        "a",
        "of",
        "and",
        "old",
        "said",
        "went",
        "to",
        "market",
        "dog",
        ",",
        ".",
        ";",
        "!",
        "—",
        "’",
        "“",
        "”",
        "(",
        ")",
        "it",
        "was",
        "in",
    ]
    pieces = []
    for _ in range(words):
        pieces.append(rng.choice(NAMES) if rng.random() < 0.35 else rng.choice(common))
        pieces.append(rng.choice([" "] * 8 + ["", "\n", "  ", "’s ", "'s ", ", ", ". ", "-"]))
    return "".join(pieces).strip()
