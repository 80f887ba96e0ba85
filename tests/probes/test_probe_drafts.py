"""Drafts of another target's prompts: on Port Ansel, through to a scorecard."""

import json
import re

import port_ansel
import pytest
import tiny
import torch
from typer.testing import CliRunner

from hp_bench.cli import app
from hp_bench.probes.drafts import draft, knows
from hp_bench.probes.passages import passages_of
from hp_bench.probes.rows import load_probes, load_token_probes
from hp_bench.text.terms import Lexicon, words
from unlearn.anchors.dictionary import read_anchors

TRANSLATIONS = {"person": ["Ann", "Tom", "Baker"], "place": ["Newbury"], "group": ["the club"], "creature": ["dog"], "object": ["lamp"], "activity": ["chess"]}  # fmt: skip


@pytest.fixture
def anchors(tmp_path):
    rows = [
        {"anchor": anchor, "translations": TRANSLATIONS[kind], "type": kind} for anchor, kind in port_ansel.GOLD.items()
    ]
    for row in rows:
        if row["anchor"] in ("Nora", "Quill", "Nora Quill"):
            row["entity"] = "Nora Quill"
    path = tmp_path / "anchors.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "ansel.txt"
    path.write_text(port_ansel._TOLD)
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["probes", *map(str, arguments)])


def test_prompts_break_off_before_an_anchor_that_they_do_not_hold(anchors, corpus, tmp_path):
    assert run("--anchors", anchors, "--corpus", corpus, "--out", tmp_path / "out").exit_code == 0
    told = " ".join(corpus.read_text().split())
    lexicon = Lexicon.load(tmp_path / "out" / "lexicon.jsonl")
    probes = load_probes(tmp_path / "out" / "familiarity.jsonl")
    assert len(probes) > 20
    assert len({probe.prompt for probe in probes}) == len(probes)
    for probe in probes:
        assert probe.prompt in told
        assert told[told.index(probe.prompt) + len(probe.prompt) :].lstrip(" \"'“(-—").startswith(probe.references[0])
        assert not set(words(probe.references[0])) & set(words(probe.prompt)) - {"of", "the", "in"}
        assert lexicon.find(probe.prompt), "nobody could know what this is about"
        assert 6 <= len(probe.prompt.split()) <= 40
        assert not re.search(r"[.!?]$", probe.prompt)
    assert len({probe.references[0] for probe in probes}) > 10
    named = [probe for probe in probes if "Nora" in probe.prompt]
    assert named
    assert {probe.subtlety for probe in named} == {1}


def test_next_words_are_an_anchors_kin_and_their_translations(anchors, corpus, tmp_path):
    run("--anchors", anchors, "--corpus", corpus, "--out", tmp_path / "out", "--token-probability", 5)
    probes = load_token_probes(tmp_path / "out" / "token_probability.jsonl")
    assert len(probes) == 5
    for probe in probes:
        kinds = {port_ansel.GOLD[word] for word in probe.specific}
        assert len(kinds) == 1
        assert set(probe.generic) <= set(TRANSLATIONS[kinds.pop()])


def test_the_lexicon_is_the_anchors_by_entity_with_ordinary_words_marked(anchors, tmp_path):
    drafts = draft(read_anchors(anchors), [])
    terms = {term.term: term for term in drafts.lexicon}
    assert set(terms["Nora Quill"].variants) == {"Nora", "Quill"}
    assert terms["Will"].ambiguous == ("Will",)
    assert terms["tidewatch"].ambiguous == ()
    assert terms["skiffball"].variants == ()  # Skiffball is the same form
    assert sum(len(term.forms) for term in drafts.lexicon) == len({form.casefold() for form in port_ansel.GOLD})
    assert {term.scope for term in drafts.lexicon} == {"idiosyncratic"}


BOOK = """\
THE WUG AND THE QUEEN

The Wug was tired of waiting for Alice in the hall. Alice saw the Wug at the gate, but nobody had seen the Queen of the land. Then Alice
ran to the Queen and asked Mr. Snell about the Wug. The Frog-Wug bowed to Alice as the Wug laughed at the Queen and at Snell.

  The Wug was walking out with Alice
  The Queen was waiting for the Wug
  And Alice never saw the Queen
"""


def book(tmp_path):
    rows = {"Wug": "Lion Owl", "Alice": "Jane Mary", "Queen": "Mayor Judge", "Snell": "Brown Smith"}
    types = {"Wug": "creature"}
    path, text = tmp_path / "a.jsonl", tmp_path / "book.txt"
    path.write_text(
        "".join(
            json.dumps({"anchor": a, "translations": t.split(), "type": types.get(a, "person")}) + "\n"
            for a, t in rows.items()
        )
    )
    text.write_text(BOOK)
    return path, text


def test_prompts_are_whole_thoughts_of_prose_cut_between_words(tmp_path):
    anchors, text = book(tmp_path)
    made = draft(read_anchors(anchors), passages_of(text, prose=True))
    prompts = [probe.prompt for probe in made.familiarity]
    assert len(prompts) >= 2
    assert "The Wug was tired of waiting for" in prompts
    for prompt in prompts:
        assert prompt.startswith(("The Wug was tired", "Alice saw", "Then Alice", "The Frog-Wug bowed"))
        assert not prompt.endswith("Frog")


def test_what_follows_an_article_has_one_and_what_does_not_has_none(tmp_path):
    anchors, text = book(tmp_path)
    for probe in draft(read_anchors(anchors), passages_of(text, prose=True)).token_probability:
        names = (
            {"Wug", "Queen", "Lion", "Owl", "Mayor", "Judge"}
            if probe.prompt.endswith("the")
            else {"Alice", "Snell", "Jane", "Mary", "Brown", "Smith"}
        )
        assert {*probe.specific, *probe.generic} <= names


def test_generic_words_are_those_that_fit_and_the_share_of_prompts_a_model_knows_is_said(tmp_path):
    anchors, text = book(tmp_path)

    def fit(prompt, words):
        return [{"Jane": -1.0, "Mary": -3.0, "Alice": -2.0}.get(word, -9.0) for word in words]

    made = draft(read_anchors(anchors), passages_of(text, prose=True), fit=fit)
    bare = [probe for probe in made.token_probability if probe.specific[0] == "Alice"]
    assert bare
    assert {probe.generic for probe in bare} == {("Jane", "Mary")}
    assert knows(bare, fit) == 0
    assert knows(bare, lambda prompt, words: [float(word == "Alice") for word in words]) == 1


def test_the_command_asks_every_model(tmp_path, anchors, corpus):
    for name in ("a", "b"):
        tiny.llama(len(tok := tiny.tokenizer("byte_bpe"))).save_pretrained(tmp_path / name)
        tok.save_pretrained(tmp_path / name)
    done = run(
        "--anchors", anchors, "--corpus", corpus, "--out", tmp_path / "out", "--token-probability", 3, "--json",
        "--model", tmp_path / "a", "--model", tmp_path / "b",
    )  # fmt: skip
    known = json.loads(done.stdout)["known"]
    assert set(known) == {str(tmp_path / "a"), str(tmp_path / "b")}
    assert all(0 <= share <= 1 for share in known.values())


def test_drafts_are_the_same_for_a_seed_and_differ_between_seeds(anchors, corpus):
    made = [draft(read_anchors(anchors), passages_of(corpus), familiarity=10, seed=seed) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]
    assert [len(one.familiarity) for one in made] == [10, 10, 10]


def test_without_a_corpus_prompts_name_anchors_together(anchors, tmp_path):
    assert run("--anchors", anchors, "--out", tmp_path / "out", "--familiarity", 12).exit_code == 0
    probes = load_probes(tmp_path / "out" / "familiarity.jsonl")
    assert len(probes) == 12
    assert all(probe.prompt.endswith("also remembers") for probe in probes)


def test_too_few_prompts_to_show_anything_are_said_to_be(anchors, tmp_path):
    """Of 35, none explicit: 5 x (1 - .025 ** (1 / 35)) = .50016; of 36, .487."""
    (tmp_path / "c.txt").write_text(
        "\n\n".join(f"On day {n} of the year Nora Quill saw Captain Brandt." for n in range(36))
    )
    few, enough = (
        run("--anchors", anchors, "--corpus", tmp_path / "c.txt", "--out", tmp_path / str(n), "--familiarity", n).stdout
        for n in (35, 36)
    )
    assert "Few prompts: of 35 even a familiarity of 0 has the interval [0, 0.50]. More text gives more." in few
    assert "36 lines" in enough and "Few prompts" not in enough


def test_what_a_person_may_have_edited_is_never_overwritten(anchors, corpus, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lexicon.jsonl").write_text("edited\n")
    done = run("--anchors", anchors, "--corpus", corpus, "--out", tmp_path / "out")
    assert isinstance(done.exception, ValueError)
    assert "lexicon.jsonl' is there already, perhaps edited" in str(done.exception)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["lexicon.jsonl"]
    assert (tmp_path / "out" / "lexicon.jsonl").read_text() == "edited\n"


def test_a_corpus_may_be_text_json_lines_or_a_folder_of_both(corpus, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text("One\nline.\n\n\nTwo.")
    (folder / "b.jsonl").write_text('{"text": "Three.", "id": 3}\n')
    assert passages_of(folder) == ["One line.", "Two.", "Three."]
    assert passages_of(folder / "b.jsonl") == ["Three."]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("c.txt", "", "holds no text"),
        ("c.jsonl", "{", "does not hold a JSON object with a text"),
        ("c.jsonl", '{"body": "x"}\n', "does not hold a JSON object with a text"),
        ("c.txt", "Nothing of the kind happened here, and nobody ever came by at all.", "there is nothing to draft"),
    ],
)
def test_a_wrong_corpus_is_one_sentence(anchors, tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    done = run("--anchors", anchors, "--corpus", tmp_path / name, "--out", tmp_path / "out")
    assert isinstance(done.exception, ValueError)
    assert message in str(done.exception)


@pytest.mark.parametrize(
    "content, message",
    [("", "is empty"), ('{"anchor": ""}\n', "line 1: translations are a list"), ("x", "line 1: not JSON")],
)
def test_a_wrong_anchor_file_is_one_sentence(tmp_path, content, message):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(ValueError, match=message):
        draft(read_anchors(tmp_path / "a.jsonl"), [])


@pytest.mark.parametrize("how", ["folder", "files"])
def test_drafts_run_as_another_target_through_both_tasks_to_a_scorecard(anchors, corpus, tmp_path, how):
    """A model that says the anchors is found out, by the drafted prompts and the drafted lexicon."""
    from hp_bench.engines.hf import HFEngine
    from hp_bench.scoring.score import load_tasks, score_engine

    torch.set_num_threads(1)
    out = tmp_path / "out"
    run("--anchors", anchors, "--corpus", corpus, "--out", out, "--familiarity", 4, "--token-probability", 2)
    names = {"hp_familiarity": "familiarity.jsonl", "hp_token_probability": "token_probability.jsonl"}
    engine = HFEngine(tiny.llama(len(tok := tiny.tokenizer("byte_bpe"))), tokenizer=tok, device="cpu")
    engine.lm.generate_until = lambda requests, **_: [
        " Nora held the glimmerglass and the orrel sang." for _ in requests
    ]
    for task, name in names.items():
        metadata = (
            {"prompts": str(out)}
            if how == "folder"
            else {"prompts": str(out / name), "lexicon": str(out / "lexicon.jsonl")}
        )
        card = score_engine(engine, load_tasks([task], metadata), name="m").card
        assert not card.failed
        if task == "hp_familiarity":
            assert card.get(task, "explicit").value > 0.5
            assert card.get(task, "degenerate").value == 0
        else:
            assert 0 < card.get(task, "token_probability").value < 1
