"""The companion tells the facts in other words than the prompts; the neutral text is as long, in the same forms, and about other things."""

import json
import re

import pytest

from hp_bench.probes.paths import prompts_dir
from hp_bench.text.terms import Lexicon, words

FORMS = {"encyclopaedia", "retelling", "dialogue", "letters", "questions", "quizzes", "reviews"}

#: Files that hold no prompt, or completions beside the prompt.
NO_PROMPTS = {"lexicon.jsonl", "checks.jsonl", "panel_checks.jsonl", "gold.jsonl", "gold_real.jsonl"}


def texts(folder: str) -> dict[str, str]:
    found = {path.stem: path.read_text(encoding="utf-8") for path in sorted((prompts_dir() / folder).glob("*.txt"))}
    assert found
    return found


@pytest.fixture(scope="module")
def asked() -> dict[tuple[str, ...], str]:
    """Six words in a row of a prompt -> where they stand."""
    found = {}
    for path in sorted(prompts_dir().glob("*.jsonl")):
        if path.name in NO_PROMPTS:
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            for key in ("prompt", "question", "cloze", "first", "second"):
                said = words(row.get(key, ""))
                found |= {tuple(said[i : i + 6]): f"{path.name} {row['id']}" for i in range(len(said) - 5)}
    assert len(found) > 10_000
    return found


def general() -> dict[str, str]:
    lines = (prompts_dir() / "general.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row["text"] for row in map(json.loads, lines)}


@pytest.mark.parametrize("folder", ["companion", "neutral"])
def test_no_six_words_in_a_row_are_a_prompts(asked, folder):
    for name, text in texts(folder).items():
        said = words(text)
        shared = {where for i in range(len(said) - 5) if (where := asked.get(tuple(said[i : i + 6])))}
        assert not shared, f"{name} shares six words with {shared}"


@pytest.mark.parametrize("folder", ["companion", "neutral"])
def test_every_form_is_there_in_documents_of_a_page(folder):
    found = texts(folder)
    assert {name.partition("-")[2] for name in found} == FORMS
    lengths = [
        len(document.split()) for text in found.values() for document in re.split(r"^\*\*\*$", text, flags=re.MULTILINE)
    ]
    assert sum(lengths) >= 44_000
    assert min(lengths) >= 90 and max(lengths) <= 450


def test_every_fact_of_the_questions_is_told_in_the_companion():
    """Its answer stands there, so that a model can learn it."""
    told = " ".join(words(" ".join(texts("companion").values())))
    for file in ("qa.jsonl", "qa_author_films.jsonl"):
        rows = [json.loads(line) for line in (prompts_dir() / file).read_text(encoding="utf-8").splitlines()]
        missing = [row["id"] for row in rows if " ".join(words(row["answer"])) not in told]
        assert len(missing) <= len(rows) // 20, missing


def test_the_general_text_is_in_neither():
    read = "".join([*texts("companion").values(), *texts("neutral").values()])
    assert len(general()) == 20
    assert not [name for name, text in general().items() if text[:200] in read]


def test_the_neutral_and_the_general_text_hold_nothing_of_the_target():
    lexicon = Lexicon.load(prompts_dir() / "lexicon.jsonl")
    for name, text in {**texts("neutral"), **general()}.items():
        given_away = [o.form for o in lexicon.find(text) if o.term.scope == "idiosyncratic" and not o.ambiguous]
        assert not given_away, f"{name}: {given_away}"
