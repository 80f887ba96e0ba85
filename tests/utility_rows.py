"""Rows of the schemas that `hp_utility`'s seven data sets have on the hub, in place of the downloads; the sentences are ours."""

from typing import Any

import datasets

_CHOICES = {"text": ["a lamp", "a boat", "the rain", "salt"], "label": ["A", "B", "C", "D"]}

_ROWS: dict[tuple[str, str | None], list[dict[str, Any]]] = {
    ("allenai/winogrande", "winogrande_xl"): [
        {
            "sentence": "The jar did not fit in the box because the _ was too big.",
            "option1": "jar",
            "option2": "box",
            "answer": "1",
        },
        {
            "sentence": "Ann thanked Joan because _ had helped her move.",
            "option1": "Ann",
            "option2": "Joan",
            "answer": "2",
        },
    ],
    ("Rowan/hellaswag", None): [
        {
            "ind": number,
            "activity_label": "Rowing",
            "ctx_a": "A man pushes a boat [title] off the sand.",
            "ctx_b": "he",
            "ctx": "A man pushes a boat off the sand. he",
            "endings": ["climbs in.", "eats the oar.", "is a shelf.", "paints snow."],
            "source_id": "ours",
            "split": "val",
            "split_type": "indomain",
            "label": str(number),
        }
        for number in range(3)
    ],
    ("baber/piqa", None): [
        {
            "goal": "To dry a wet shoe,",
            "sol1": "put it in the sun.",
            "sol2": "put it in the sea.",
            "label": number % 2,
        }
        for number in range(4)
    ],
    ("allenai/ai2_arc", "ARC-Challenge"): [
        {"id": f"c{number}", "question": "What gives light?", "choices": _CHOICES, "answerKey": key}
        for number, key in enumerate("ABCDA")
    ],
    ("allenai/ai2_arc", "ARC-Easy"): [
        {"id": f"e{number}", "question": "What floats on water?", "choices": _CHOICES, "answerKey": key}
        for number, key in enumerate("BBA")
    ],
    ("aps/super_glue", "boolq"): [
        {
            "idx": number,
            "question": "is the sea salty",
            "passage": "Sea water holds about 35 grams of salt a litre.",
            "label": number % 2,
        }
        for number in range(3)
    ],
    ("allenai/openbookqa", "main"): [
        {"id": f"o{number}", "question_stem": "Fish live in", "choices": _CHOICES, "answerKey": key}
        for number, key in enumerate("CDA")
    ],
}

TASKS = ("winogrande", "hellaswag", "piqa", "arc_challenge", "arc_easy", "boolq", "openbookqa")


def load_dataset(path: str, name: str | None = None, **options: Any) -> datasets.DatasetDict:
    """What `datasets.load_dataset` would have downloaded, shortened; a data set that is none of the seven is an error."""
    rows = datasets.Dataset.from_list(_ROWS[path, name])
    return datasets.DatasetDict(dict.fromkeys(("train", "validation", "test"), rows))
