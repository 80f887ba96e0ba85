"""Anchors by contrast: on the detectives of Port Ansel, mixed with ordinary English."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import port_ansel
import pytest

from unlearn.anchors.contrast.contrast import contrast_anchors
from unlearn.anchors.contrast.log_odds import log_odds
from unlearn.anchors.contrast.translations import TRANSLATIONS, WORD_LISTS, Entity, Form, generic_translations
from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.anchors.occurrences import occurrences
from unlearn.anchors.tally import Tally, tokens
from unlearn.anchors.types import TYPES, name_type, term_type
from unlearn.corpus.corpus import Document
from unlearn.labels.translate import translate


def documents(texts):
    return [Document(str(number), text) for number, text in enumerate(texts)]


def renamed(text, names):
    return re.sub(r"\b(" + "|".join(names) + r")\b", lambda match: names[match[0]], text)


@pytest.fixture(scope="module")
def world():
    return documents(port_ansel.documents())


@pytest.fixture(scope="module")
def draft(world):
    return contrast_anchors(world)


@pytest.fixture(scope="module")
def found(draft):
    return {anchor.anchor: anchor for anchor in draft.anchors}


def frequent(gold, texts, least=3):
    """Those of the gold list that the text holds often enough, inside longer names or not."""
    whole = "\n".join(texts)
    return {name: kind for name, kind in gold.items() if len(re.findall(rf"\b{name}\b", whole)) >= least}


# What is found


def test_the_worlds_names_and_terms_are_found_and_ordinary_words_are_not(found):
    gold = frequent(port_ansel.GOLD, port_ansel.documents())
    assert len(gold) >= 30
    assert sum(name in found for name in gold) >= 0.95 * len(gold)
    assert sum(name in port_ansel.GOLD for name in found) >= 0.9 * len(found)


def test_most_types_are_right(found):
    known = [name for name in found if name in port_ansel.GOLD]
    right = [name for name in known if found[name].type == port_ansel.GOLD[name]]
    assert len(right) >= 0.85 * len(known)
    assert {anchor.type for anchor in found.values()} <= set(TYPES)


def test_words_that_open_sentences_and_everyday_names_are_no_anchors(found):
    openers = {
        "Perhaps",
        "Yesterday",
        "However",
        "Meanwhile",
        "Repairs",
        "Somebody",
        "There",
        "The",
        "You",
        "Most",
        "When",
    }
    everyday = {"Monday", "London", "Christmas", "June", "Captain", "Professor"}
    assert not (openers | everyday) & set(found)


def test_nothing_stands_out_in_ordinary_english():
    with pytest.raises(ValueError, match=r"nothing stands out in \d+ words"):
        contrast_anchors(documents(port_ansel.ordinary_documents()))


def test_names_that_are_words_of_general_english_are_found_with_lower_scores(draft):
    names = {
        "Nora": "Grace", "Quill": "Baker", "Tobias": "Mark", "Fenn": "Hill", "Marguerite": "Rose", "Edgar": "Frank", "Lindqvist": "White",
        "Ostrava": "Brown", "Hollowmere": "Reading", "Sallow": "Stone",
    }  # fmt: skip
    common = contrast_anchors(documents(renamed(text, names) for text in port_ansel.documents()))
    scores = {anchor.anchor: anchor.score for anchor in common.anchors}
    rare = {anchor.anchor: anchor.score for anchor in draft.anchors}
    assert set(names.values()) <= set(scores)
    for name, commoner in names.items():
        assert scores[commoner] < rare[name]
    assert min(scores, key=scores.get) == "Will"


def test_a_reference_of_the_same_kind_leaves_what_only_the_target_has(world):
    names = {
        "Nora": "Ada",
        "Quill": "Moss",
        "Tobias": "Otto",
        "Fenn": "Lark",
        "Brandt": "Falk",
        "tidewatch": "sandglass",
        "Port Ansel": "Eastmouth",
    }
    other = documents(renamed(text, names) for text in port_ansel.documents(chapters=20, seed=5))
    left = {anchor.anchor for anchor in contrast_anchors(world, reference=other).anchors}
    assert set(names) <= left
    assert not left & {
        "Hollowmere",
        "Lantern Street",
        "Gull Inn",
        "orrel",
        "glimmerglass",
        "skiffball",
        "Will",
        "Edgar",
    }


def test_a_reference_shorter_than_the_target_is_a_warning(world, caplog):
    with pytest.raises(ValueError, match="no more frequent than elsewhere"):
        contrast_anchors(world[:2], reference=world[1:2])
    assert "the reference (340 words) is shorter than the corpus" in caplog.text


def test_against_itself_nothing_stands_out(world):
    with pytest.raises(ValueError, match="no more frequent than elsewhere"):
        contrast_anchors(world, reference=world)


def test_top_keeps_the_best_entities_whole(world, draft):
    few = contrast_anchors(world, top=10)
    assert 8 <= len(few.anchors) <= 10
    assert few.dropped["beyond top"] == len(draft.anchors) - len(few.anchors)
    assert few.anchors[0].anchor == draft.anchors[0].anchor


def test_min_count(world):
    counts = {a.anchor: a.count for a in contrast_anchors(world, min_count=12).anchors if not a.entity}
    assert counts
    assert min(counts.values()) >= 12


def test_counts_are_whole_word_occurrences_and_contexts_show_them(found, world):
    text = "\n".join(document.text for document in world)
    for name in ("Edgar", "tidewatch", "Lantern Street", "Gull Inn"):
        assert found[name].count == len(re.findall(rf"\b{name}\b", text))
    for anchor in found.values():
        assert 1 <= len(anchor.contexts) <= 3
        assert all(len(context) < 130 and "\n" not in context for context in anchor.contexts)
        if len(anchor.contexts) == 3:
            assert all(anchor.anchor in context for context in anchor.contexts)


# Translations


def test_every_anchor_has_translations_that_are_no_anchors_and_no_names_of_the_text(found, world):
    text = "\n".join(document.text for document in world)
    names = {token.text for token in tokens(text) if token.text[0].isupper() and not token.opens}
    for anchor in found.values():
        assert len(set(anchor.translations)) == TRANSLATIONS >= 2
        for translation in anchor.translations:
            assert translation not in found
            new = set(translation.split()) - set(anchor.anchor.split())
            assert not new & names, f"{anchor.anchor} -> {translation}"


def test_no_two_anchors_share_all_translations(draft):
    sets = [frozenset(anchor.translations) for anchor in draft.anchors]
    assert len(sets) == len(set(sets))


def test_the_names_of_a_person_agree(found):
    whole, first, last = found["Nora Quill"], found["Nora"], found["Quill"]
    assert whole.entity == first.entity == last.entity == "Nora Quill"
    assert whole.translations == tuple(f"{a} {b}" for a, b in zip(first.translations, last.translations, strict=True))
    assert set(first.translations) <= set(WORD_LISTS["female"])
    assert set(found["Tobias"].translations) <= set(WORD_LISTS["male"])
    assert found["Captain Brandt"].translations == tuple(f"Captain {name}" for name in found["Brandt"].translations)


def test_a_family_name_is_an_anchor_of_its_own(found):
    assert "Marguerite Sallow" not in found
    assert not found["Sallow"].entity
    assert set(found["Sallow"].translations) <= set(WORD_LISTS["surname"])


def test_plurals_and_capitals_are_forms_of_their_own(found):
    assert [t + "s" for t in found["brindlehound"].translations] == list(found["brindlehounds"].translations)
    assert [t.capitalize() for t in found["skiffball"].translations] == list(found["Skiffball"].translations)
    assert found["Skiffball"].entity == found["skiffball"].entity == "skiffball"


def test_the_plural_of_a_surname_that_has_always_a_title():
    text = (
        "He met Dr. Zorn and Mrs. Zorn. We like the Zorns. I saw Dr. Zorn, Mrs. Zorn and Dr. Zorn again, and Mrs. Zorn."
    )
    made = {anchor.anchor: anchor for anchor in contrast_anchors(documents([text])).anchors}
    assert set(made) == {"Dr. Zorn", "Mrs. Zorn", "Zorns"}
    assert made["Dr. Zorn"].translations == tuple(f"Dr. {name[:-1]}" for name in made["Zorns"].translations)
    assert {anchor.entity for anchor in made.values()} == {"Zorn"}


def test_translations_fit_the_article_and_keep_what_is_generic(found):
    assert all(translation[0] in "aeiou" for translation in found["orrel"].translations)  # the text says "an orrel"
    assert all(translation.endswith(" Street") for translation in found["Lantern Street"].translations)
    assert all(translation.startswith("Port ") for translation in found["Port Ansel"].translations)


def test_a_block_is_translated_consistently(draft):
    dictionary = draft.dictionary()
    text = "Nora Quill of Port Ansel. Nora! Mrs Ostrava and Captain Brandt's brindlehounds; Brandt laughed."
    for block in range(8):
        made = translate(text, dictionary, seed=0, document="d", block=block).text
        first, last = made.split()[:2]
        assert f". {first}!" in made
        captain = made.split("Captain ")[1].split("'")[0]
        assert made.endswith(f"; {captain} laughed.")
        assert not re.search("Nora|Quill|Ansel|Ostrava|Brandt|brindle", made)
        assert last in WORD_LISTS["surname"]


def test_the_first_entities_share_no_translation_and_none_share_all():
    entities = [Entity(f"P{number}", "person", (Form(f"P{number}", "{female}"),)) for number in range(300)]
    made = generic_translations(entities, seed=0, avoid=())
    assert len({t for n in range(12) for t in made[f"P{n}"]}) == 12 * TRANSLATIONS
    assert len({frozenset(translations) for translations in made.values()}) == 300


def test_words_of_the_target_are_no_translations():
    entity = Entity("x", "creature", (Form("x", "{creature}"),))
    avoid = WORD_LISTS["creature"][:-TRANSLATIONS]
    assert set(generic_translations([entity], seed=0, avoid=avoid)["x"]) == set(WORD_LISTS["creature"][-TRANSLATIONS:])


def test_word_lists_hold_twenty_different_words_or_more():
    for name, words in WORD_LISTS.items():
        assert len(set(words)) == len(words) >= 20, name


# Determinism


def test_same_corpus_and_seed_same_dictionary_in_any_process(world, draft, tmp_path):
    assert contrast_anchors(world) == draft
    path = tmp_path / "world.jsonl"
    path.write_text("".join(json.dumps({"text": document.text}) + "\n" for document in world))
    code = f"from unlearn import Corpus, contrast_anchors; contrast_anchors(Corpus({str(path)!r})).save({str(tmp_path / 'out.jsonl')!r})"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12"},
        cwd=Path(__file__).parents[3],
    )
    draft.save(tmp_path / "here.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "here.jsonl").read_bytes()


def test_another_seed_other_translations(world, draft):
    other = contrast_anchors(world, seed=1)
    assert [a.anchor for a in other.anchors] == [a.anchor for a in draft.anchors]
    assert sum(a.translations == b.translations for a, b in zip(other.anchors, draft.anchors, strict=True)) <= 2


# The parts


def test_log_odds_by_hand():
    contrast = log_odds(9, 99, 1, 999, 1, 1)
    # (10/90) over (2/998); variance 1/10 + 1/2
    assert contrast.log_ratio == pytest.approx(4.0153, abs=1e-4)
    assert contrast.z == pytest.approx(4.0153 / 0.6**0.5, abs=1e-3)
    assert log_odds(5, 100, 5, 100, 3, 50).z == 0
    assert log_odds(2, 100, 7, 90, 3, 50).z == pytest.approx(-log_odds(7, 90, 2, 100, 3, 50).z)


@pytest.mark.parametrize(
    ("text", "openers"),
    [
        ("Nora slept. Then Fenn came.", ["Nora", "Then"]),
        ("“Yes,” said Fenn. “No.” Nora left.", ["Yes", "No", "Nora"]),
        ('"Where is it?" Nora asked. "Here," Fenn said.', ["Where", "Nora", "Here"]),
        ("Mr. Fenn met Dr. Vale and J. Quill. Nora did not.", ["Mr", "Nora"]),
        ("A man,\nNora said\n\nQuill left", ["A", "Quill"]),
        ("- Fenn\n- Nora", ["Fenn", "Nora"]),
    ],
)
def test_what_opens_a_sentence(text, openers):
    assert [token.text for token in tokens(text) if token.opens and token.text[0].isupper()] == openers


def test_possessives_and_contractions_are_no_part_of_a_word():
    assert [token.text for token in tokens("Nora's Fenn’s she'll don't O'Neil'd D’Arcy James'")] == [
        "Nora", "Fenn", "she", "don't", "O'Neil", "D’Arcy", "James",
    ]  # fmt: skip


def test_headings_tell_nothing_about_capitals():
    tally = Tally()
    tally.add("The Dark House\n\nHe saw a dark house.\n\nCHAPTER TWO\n\nHe left it.")
    assert not tally.middle["Dark"] + tally.middle["House"]


def test_names_are_gathered_with_titles_connectors_and_owners():
    tally = Tally()
    tally.add(
        "He met Captain Nora Quill, the Guild of Tides and Hob's Head in Brandt-on-Sea, but no Port\nAnsel, Nora."
    )
    texts = {" ".join(run.words) for run in tally.runs}
    assert {"Captain Nora Quill", "Guild", "Tides", "Port Ansel", "Nora"} <= texts
    assert set(tally.compounds) == {"Guild of Tides", "Hob's Head", "Brandt-on-Sea"}


def test_names_that_merely_meet_are_told_apart():
    text = "In Port Ansel Nora slept. He saw Port Ansel. He saw Nora. Then Nora came. We like Port Ansel and Nora. " * 4
    names = {anchor.anchor for anchor in contrast_anchors(documents([text])).anchors}
    assert names == {"Port Ansel", "Nora"}


def anchors_of(text, times=4):
    return {anchor.anchor: anchor for anchor in contrast_anchors(documents([text] * times)).anchors}


def test_common_nouns_that_a_book_makes_names_are_found_whole_and_joined():
    made = anchors_of(
        "She saw the Queen. Then the Queen of Nod cried out, and the Queen left. “Yes, your Majesty!” She met a March Hare, and the March "
        "Hare spoke. The Frog-Footman bowed, and the Footman sat; so the Footman slept. He liked the White Rabbit. The Rabbit ran to the Rabbit."
    )
    assert {a: made[a].type for a in made} == {
        "Queen": "person", "Queen of Nod": "person", "March Hare": "creature", "Footman": "person", "Frog-Footman": "person",
        "White Rabbit": "creature", "Rabbit": "creature",
    }  # fmt: skip
    assert {made[name].entity for name in ("Queen", "Queen of Nod")} == {"Queen"}
    assert {made[name].entity for name in ("Rabbit", "White Rabbit")} == {"Rabbit"}
    assert [whole.split()[1] for whole in made["White Rabbit"].translations] == list(made["Rabbit"].translations)
    assert made["Frog-Footman"].translations == made["Footman"].translations


def test_a_number_or_a_small_word_that_speaks_is_a_name():
    made = anchors_of(
        "“No,” said Five. Then Five looked at Two. She had two hats and five cats. “So,” said Two, and Five saw Two."
    )
    assert set(made) == {"Five", "Two"}


def test_fragments_stage_directions_addresses_and_what_opens_a_line_of_verse_are_no_names():
    text = (
        "He met Zorvel. Then Zorvel sang, and Zorvel wept:\n\n  Beau--ootiful Zoo--oop!\n  Pleasant is the evening,\n  Zoo--oop of the sea,\n"
        "  Pleasant are the winds,\n\nExit Zorvel. Chorus. Enter Zorvel. “Yes, your Grace,” said she -- Pray, who? -- Pray, why? Your Grace knew."
    )
    assert set(anchors_of(text)) == {"Zorvel"}


def test_a_name_over_the_end_of_a_line_is_the_name():
    assert set(anchors_of("Then Mr.\nZorvel and Mr. Zorvel met. He saw Mr.\nZorvel.")) == {"Mr. Zorvel"}


def test_plurals_of_a_title_are_other_people():
    assert set(anchors_of("He saw the Zarina. Kings came. The King, a King and the King met many Kings.")) >= {"King"}
    assert "Kings" not in anchors_of("The King saw the King. So the King met the Kings.")


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("Zorvel", "Then Zorvel said no. We asked Zorvel. I told Zorvel that he was late.", "person"),
        ("Zorvel", "They live in Zorvel. We went to Zorvel. He came through Zorvel.", "place"),
        ("Zorvel Street", "I like Zorvel Street.", "place"),
        ("Port Zorvel", "I like Port Zorvel.", "place"),
        ("Guild of Zorvel", "I like the Guild of Zorvel.", "group"),
        ("Lady Zorvel", "I like Lady Zorvel.", "person"),
        ("Zorvel", "A member of the Zorvel came. He joined the Zorvel. She is head of the Zorvel.", "group"),
        ("Zorvel", "They played Zorvel. We have a Zorvel match. He won at Zorvel again.", "activity"),
        ("Zorvel", "The Zorvel growled and showed its teeth. Its tail hit the Zorvel in its cage.", "creature"),
        ("Zorvel", "He held the Zorvel. She took the Zorvel from the drawer. I lost my Zorvel.", "object"),
        ("Zorvel", "Zorvel. Or Zorvel.", "other"),
    ],
)
def test_types_by_what_stands_around(name, text, kind):
    seen = occurrences(documents([text]), [name])[name]
    assert seen.count == text.count(name)
    assert name_type(name.split(), seen) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("He fed the zorvel. The zorvel howled in the stable.", "creature"),
        ("She wound the zorvel. He put a zorvel in his pocket.", "object"),
        ("We play zorvel. The zorvel team lost.", "activity"),
        ("They went into the zorvel. It was dark inside the zorvel.", "place"),
    ],
)
def test_types_of_terms(text, kind):
    assert term_type("zorvel", occurrences(documents([text]), ["zorvel"])["zorvel"]) == kind


# Files and the command line


def test_the_file_is_read_as_a_dictionary_with_fields_for_people_beside(draft, tmp_path):
    draft.save(tmp_path / "anchors.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "anchors.jsonl").read_text().splitlines()]
    assert set(rows[0]) <= {"anchor", "translations", "entity", "type", "count", "contexts"}
    loaded = AnchorDictionary.load(tmp_path / "anchors.jsonl")
    assert loaded.anchors == draft.dictionary().anchors
    assert {drop.reason for drop in loaded.dropped} <= {"all of its words are anchors"}
    assert len(AnchorDictionary.load(tmp_path / "anchors.jsonl", prune=False).anchors) == len(draft.anchors)


def run(monkeypatch, capsys, *arguments):
    from unlearn.cli import main

    monkeypatch.setattr(sys, "argv", ["unlearn", "anchors", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return ended.value.code or 0, printed.out, printed.err


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "world.txt"
    path.write_text("\n\n".join(port_ansel.documents()))
    return path


def test_the_command_prints_a_table(monkeypatch, capsys, tmp_path, text_file):
    code, out, err = run(monkeypatch, capsys, "--corpus", text_file, "--out", tmp_path / "a.jsonl", "--top", 12)
    assert code == 0 and err.count("\n") == 1 and "holds 3,186 words, hardly enough to ask about" in err
    assert "glimmerglass" in out
    assert re.search(r"anchor\s+type\s+count\s+contrast\s+translations", out)
    assert "left out: " in out
    assert len(AnchorDictionary.load(tmp_path / "a.jsonl", prune=False).anchors) <= 12


def test_the_command_prints_json(monkeypatch, capsys, tmp_path, text_file, draft):
    other = tmp_path / "other.txt"
    other.write_text(port_ansel.ordinary_documents()[0] * 20)
    arguments = ("--corpus", text_file, "--out", tmp_path / "a.jsonl", "--reference", other, "--seed", 3, "--json")
    code, out, _ = run(monkeypatch, capsys, *arguments)
    content = json.loads(out)
    assert code == 0
    assert content["out"] == str(tmp_path / "a.jsonl")
    assert {"anchor", "translations", "entity", "type", "count", "score", "contexts"} == set(content["anchors"][0])
    assert content["dropped"]


@pytest.mark.parametrize(
    ("content", "more", "sentence"),
    [
        ("", [], "corpus 'corpus.txt' holds no text"),
        ("It rained. We slept.", [], "nothing stands out in 4 words (min_count 3): no names, no rare words"),
        ("Nora", ["--top", "0"], "top and min_count must be at least 1, not 0 and 3"),
        ("Nora", ["--endpoint", "http://localhost:1/v1"], "--endpoint needs --model, the model's name there"),
        ("Nora", ["--endpoint", "localhost", "--model", "m"], "endpoint 'localhost' is no address such as http://localhost:8000/v1"),
        ("Nora", ["--reference", "nowhere.txt"], "reference 'nowhere.txt' is neither a file, a folder nor a Hugging Face dataset id (owner/name)"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_exit_code_2_and_nothing_written(
    monkeypatch, capsys, tmp_path, content, more, sentence
):
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text(content)
    code, out, err = run(monkeypatch, capsys, "--corpus", "corpus.txt", "--out", tmp_path / "a.jsonl", *more)
    assert (code, out, err) == (2, "", f"unlearn: {sentence}\n")
    assert [file.name for file in tmp_path.iterdir()] == ["corpus.txt"]


def test_an_edited_file_is_not_overwritten(monkeypatch, capsys, tmp_path, text_file):
    (tmp_path / "a.jsonl").write_text("mine")
    code, _, err = run(monkeypatch, capsys, "--corpus", text_file, "--out", tmp_path / "a.jsonl")
    assert code == 2
    assert "is there already" in err
    assert (tmp_path / "a.jsonl").read_text() == "mine"
