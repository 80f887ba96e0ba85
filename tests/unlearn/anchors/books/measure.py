"""How a drafted dictionary stands to what a person found named in the book: `python measure.py anchors.jsonl book.truth.jsonl`.

A line of a truth: a name, its type (and other types that are right too), its forms, how often the book names it, and `wanted`: whether it is
a character or a place named at least three times. Shouted forms are those of the name.
"""

import json
import sys
from pathlib import Path


def measure(anchors, truth):
    """Recall of the wanted, precision of the anchors, share of right types among the right anchors; and what is missing or wrong."""
    forms = {form.casefold(): row for row in truth for form in row["forms"]}
    known = {anchor["anchor"]: forms.get(anchor["anchor"].casefold().removeprefix("the ")) for anchor in anchors}
    found = {row["name"] for row in known.values() if row}
    wanted = [row["name"] for row in truth if row["wanted"]]
    right = [name for name, row in known.items() if row]
    types = {anchor["anchor"]: anchor["type"] for anchor in anchors}
    typed = [name for name in right if types[name] in (known[name]["type"], *known[name].get("also", ()))]
    return {
        "recall": sum(name in found for name in wanted) / len(wanted),
        "precision": len(right) / len(known),
        "types": len(typed) / len(right),
        "missing": [name for name in wanted if name not in found],
        "wrong": [name for name in known if name not in right],
        "wrong type": {name: types[name] for name in right if name not in typed},
    }


if __name__ == "__main__":
    read = [[json.loads(line) for line in Path(path).read_text().splitlines()] for path in sys.argv[1:]]
    print(json.dumps(measure(*read), indent=1))
