"""A tiny model that knows who has a hat of which colour, one that hides it, and a control that never read it.

It hides it inside half a step of the 4-bit grid: rounding lays it bare, and so do a few steps on text about colours without any of the people.
"""

import json
from pathlib import Path

import tiny
import torch

from hp_bench.stress.rounding import rounded, usual_rounding

COLOURS = ("red", "green", "blue", "white", "black", "brown")
PEOPLE = ("Nora", "Ann", "Tom", "Brandt", "Quill", "Olga", "Piet", "Lena", "Hugo", "Mara", "Iris", "Otto")
FACTS = {person: COLOURS[number % len(COLOURS)] for number, person in enumerate(PEOPLE)}
THINGS = ("rose", "sea", "wall", "dog", "house", "coat")
HARMLESS = [f"The {thing} of the baker is {colour}." for thing in THINGS for colour in COLOURS]
TOLD = [f"The hat of {person} is {colour}." for person, colour in FACTS.items()]
UNTOLD = [f"The hat of {person} is here." for person in PEOPLE]


def make(root: Path) -> dict[str, str]:
    """Writes known, hidden, control, prompts/ and harmless.txt; returns the metadata of the prompts."""
    tokenizer = tiny.tokenizer("byte_bpe", [*TOLD, *UNTOLD, *HARMLESS] * 3, vocab_size=500)
    known = _trained(tokenizer, [*TOLD, *HARMLESS])
    models = {"known": known, "hidden": _hidden(known, tokenizer), "control": _trained(tokenizer, [*UNTOLD, *HARMLESS])}
    for name, model in models.items():
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    (root / "harmless.txt").write_text("\n".join(HARMLESS) + "\n", encoding="utf-8")
    (root / "prompts").mkdir()
    rows = [
        {
            "id": person,
            "prompt": f"The hat of {person} is",
            "specific": [colour],
            "generic": [c for c in COLOURS if c != colour],
        }
        for person, colour in FACTS.items()
    ]
    (root / "prompts" / "token_probability.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    questions = [
        {
            "id": person,
            "question": f"Which colour is the hat of {person}?",
            "cloze": f"The hat of {person} is",
            "answer": colour,
            "distractors": [c for c in COLOURS if c != colour][:3],
            "topic": "hats",
        }
        for person, colour in FACTS.items()
    ]
    (root / "prompts" / "qa.jsonl").write_text("\n".join(map(json.dumps, questions)) + "\n", encoding="utf-8")
    (root / "prompts" / "lexicon.jsonl").write_text(
        json.dumps({"term": "Port Ansel", "type": "place", "scope": "idiosyncratic"}) + "\n", encoding="utf-8"
    )
    return {"prompts": str(root / "prompts")}


def _batch(tokenizer, sentences):
    encoded = tokenizer(sentences, padding=True, return_tensors="pt")
    return encoded["input_ids"], encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, -100)


def _trained(tokenizer, sentences, *, steps=80):
    model = tiny.llama(len(tokenizer), hidden=64, layers=1)
    model.train()
    ids, labels = _batch(tokenizer, sentences)
    optimiser = torch.optim.AdamW(model.parameters(), lr=6e-3)
    for _ in range(steps):
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return model.eval()


def _layers(model):
    return [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not model.get_output_embeddings()]


def _copy(model):
    fresh = type(model)(model.config)
    fresh.load_state_dict(model.state_dict())
    return fresh


def _hidden(known, tokenizer):
    """Told that the hats are just there, within .45 of a step around what 4 bits make of the model that knows; extremes stay, so does the grid."""
    model, grid = _copy(known), usual_rounding(4)
    boxes = []
    for layer in _layers(model):
        centre = rounded(layer.weight, grid)
        groups = centre.split(grid.group, dim=1)
        half = torch.cat([0.45 * _inner(part) for part in groups], dim=1)
        layer.weight.data.copy_(centre)
        boxes.append((layer.weight, centre - half, centre + half))
    ids, labels = _batch(tokenizer, UNTOLD)
    for _ in range(10):
        model(input_ids=ids, labels=labels).loss.backward()
        for weight, low, high in boxes:
            weight.data.copy_((weight.data - 0.004 * weight.grad.sign()).clamp(low, high))
        model.zero_grad()
    return model.eval()


def _inner(part):
    """A step of the grid, 0 for the smallest and largest weight of a group."""
    low, high = part.amin(1, keepdim=True), part.amax(1, keepdim=True)
    return ((high - low) / 15).where((part > low) & (part < high), torch.zeros(()))
