"""The anchor dictionary: what is left out and why, and what matches."""

import json

import pytest

from unlearn.anchors.dictionary import Anchor, AnchorDictionary
from unlearn.labels.translate import translate

NORA = Anchor("Nora", ("Ann", "Eve"))


def build(*anchors, prune=True):
    return AnchorDictionary.build([Anchor(*a) if isinstance(a, tuple) else a for a in anchors], prune=prune)


def kept(dictionary):
    return {anchor.anchor: anchor.translations for anchor in dictionary.anchors}


def reasons(dictionary):
    return [(drop.anchor, drop.reason, drop.translation) for drop in dictionary.dropped]


def found(dictionary, text):
    return [(match.start, text[match.start : match.end]) for match in dictionary.find(text)]


# What is left out


@pytest.mark.parametrize(
    ("anchor", "reason"),
    [
        (Anchor("", ("x", "y")), "empty anchor"),
        (Anchor("F", ("x", "y")), "one-letter anchor"),
        (Anchor("Nora", ("x", "y")), "duplicate anchor"),
        (Anchor("Quill", ()), "anchor without a usable translation"),
        (Anchor("Quill", ("Quill",)), "anchor without a usable translation"),
    ],
)
def test_useless_anchors_are_left_out_with_the_reason(anchor, reason):
    made = build(NORA, anchor)
    assert kept(made) == {"Nora": ("Ann", "Eve")}
    assert reasons(made)[-1] == (anchor.anchor, reason, "")


@pytest.mark.parametrize(
    ("translation", "reason"),
    [
        ("", "empty translation"),
        ("Quill", "translation that is the anchor itself"),
        ("Nora", "translation that is an anchor too"),
        ("Baker", "translation there twice"),
    ],
)
def test_useless_translations_are_left_out_and_the_anchor_stays(translation, reason):
    made = build(NORA, ("Quill", ("Baker", translation)))
    assert kept(made)["Quill"] == ("Baker",)
    assert reasons(made) == [("Quill", reason, translation)]


def test_a_translation_that_is_an_anchor_too_would_name_the_target_again():
    made = build(("Tom", ("Jim",)), ("Ron", ("Tom", "Sam")))
    assert kept(made) == {"Tom": ("Jim",), "Ron": ("Sam",)}


def test_a_translation_may_hold_an_anchors_letters_or_stand_in_another_case():
    made = build(NORA, ("Quill", ("Norah", "nora")))
    assert kept(made)["Quill"] == ("Norah", "nora")


def test_nothing_is_left_out_of_a_good_dictionary():
    made = build(NORA, ("Port Ansel", ("Newbury",)))
    assert not made.dropped
    assert made.report() == "2 anchors kept, none dropped"


def test_the_report_counts_reasons():
    made = build(NORA, ("Quill", ("Baker", "")), ("Fenn", ("", "")), ("", ("x",)))
    assert made.report().startswith("2 anchors kept, dropped: 3 empty translation; ")


# Entities


def test_anchors_of_an_entity_must_hold_equally_many_translations():
    with pytest.raises(ValueError, match="entity 'nora'.*equally many.*{'Nora': 2, 'Quill': 1}"):
        build(("Nora", ("Ann", "Eve"), "nora"), ("Quill", ("Baker",), "nora"))


def test_an_index_that_is_bad_for_one_form_is_dropped_for_all():
    made = build(("Nora", ("Ann", "Eve", "Sue"), "nora"), ("Quill", ("Baker", "Quill", "Mason"), "nora"))
    assert kept(made) == {"Nora": ("Ann", "Sue"), "Quill": ("Baker", "Mason")}


def test_forms_of_an_entity_may_repeat_a_translation_but_an_anchor_alone_may_not():
    made = build(("Tobias", ("Tim", "Ned"), "t"), ("Toby", ("Tim", "Tim"), "t"), ("Edgar", ("Max", "Max")))
    assert kept(made) == {"Tobias": ("Tim", "Ned"), "Toby": ("Tim", "Tim"), "Edgar": ("Max",)}


def test_an_anchor_without_entity_is_its_own():
    assert NORA.key == "Nora"
    assert Anchor("Nora", ("Ann",), "quill").key == "quill"


# Pruning, as the paper does


@pytest.mark.parametrize("possessive", ["Nora's", "Nora’s"])
def test_a_possessive_of_an_anchor_is_pruned(possessive):
    made = build(NORA, (possessive, ("Ann's", "Eve's")))
    assert list(kept(made)) == ["Nora"]
    assert reasons(made) == [(possessive, "possessive of another anchor", "")]


def test_a_possessive_whose_owner_is_no_anchor_stays():
    assert list(kept(build(NORA, ("Hog's", ("Pig's",))))) == ["Nora", "Hog's"]


def test_a_name_whose_words_are_all_anchors_is_pruned():
    made = build(("Nora Quill", ("Ann Baker",)), NORA, ("Quill", ("Baker",)))
    assert list(kept(made)) == ["Nora", "Quill"]
    assert reasons(made) == [("Nora Quill", "all of its words are anchors", "")]


def test_a_name_with_a_word_of_its_own_stays():
    assert list(kept(build(("Nora Quill", ("Ann Baker",)), NORA))) == ["Nora Quill", "Nora"]


def test_pruning_can_be_switched_off():
    assert len(build(("Nora Quill", ("Ann Baker",)), NORA, ("Quill", ("Baker",)), prune=False).anchors) == 3


def test_the_order_of_the_file_is_kept():
    made = build(("b1", ("x",), "e"), ("a1", ("y",)), ("c1", ("z",), "e"))
    assert list(kept(made)) == ["b1", "a1", "c1"]


# Matching


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("Nora", [0]),
        ("Nora Nora", [0, 5]),
        ("Nora, (Nora) “Nora” ‘Nora’ Nora-on-Sea", [0, 7, 14, 21, 27]),
        ("Norah Noras xNora 1Nora Nora1 _Nora Nora_ éNora Noraé 漢Nora", []),
        ("nora NORA", []),
        ("Nora's and Nora’s", [0, 11]),
        ("", []),
    ],
)
def test_whole_words_in_this_very_case(text, starts):
    assert [start for start, _ in found(build(NORA), text)] == starts


def test_a_possessive_s_stays_outside():
    assert found(build(NORA), "Nora's lamp") == [(0, "Nora")]


def test_the_longest_of_those_that_begin_together():
    dictionary = build(("Port", ("Bay",)), ("Port Ansel", ("Newbury",)))
    assert found(dictionary, "Port Ansel, Port Anselm, Port") == [(0, "Port Ansel"), (12, "Port"), (25, "Port")]


def test_the_order_of_the_dictionary_does_not_matter():
    text = "Port Ansel and Ansel Bay and Port Ansel Bay"
    names = [("Port Ansel", ("a",)), ("Port", ("b",)), ("Ansel Bay", ("c",)), ("Bay", ("d",))]
    assert found(build(*names), text) == found(build(*reversed(names)), text)


def test_the_leftmost_wins_over_a_longer_one_that_begins_inside_it():
    dictionary = build(("Port Ansel", ("a",)), ("Ansel Harbour Inn", ("b",)))
    assert found(dictionary, "Port Ansel Harbour Inn") == [(0, "Port Ansel")]


def test_a_match_that_is_no_whole_word_does_not_hide_one_that_is():
    dictionary = build(("Ansel Bay", ("a",)), ("Bay Inn", ("b",)))
    assert found(dictionary, "xAnsel Bay Inn") == [(7, "Bay Inn")]


def test_a_line_end_is_a_space_and_a_blank_line_is_none():
    dictionary = build(("Old Nora", ("Aunt Mary", "Miss Lee")), ("Nora", ("Mary", "Ann")))
    assert found(dictionary, "the Old\nNora, Old  Nora and Old\n\nNora") == [
        (4, "Old\nNora"),
        (19, "Nora"),
        (33, "Nora"),
    ]
    assert translate("an Old\nNora", dictionary, seed=0, document="a", block=0).text in ("an Aunt Mary", "an Miss Lee")


def test_anchors_may_begin_and_end_with_anything():
    dictionary = AnchorDictionary(tuple(Anchor(name, ("x",)) for name in ("🦉", "漢字", "R.A.B.", "Élodie")))
    text = "🦉🦉 漢字 漢字Nora R.A.B. Élodie’s"
    assert [name for _, name in found(dictionary, text)] == ["🦉", "🦉", "漢字", "R.A.B.", "Élodie"]


def test_an_empty_dictionary_finds_nothing():
    assert AnchorDictionary(()).find("Nora") == []


def test_of_nested_anchors_the_longest_is_found():
    """Where a text is made of them; `benchmarks/anchor_growth.py` has the time."""
    dictionary = build(*[(" ".join(["ab"] * n), ("x",)) for n in range(1, 60)], prune=False)
    matches = dictionary.find("ab " * 6_000)
    assert len(matches) == 102 and {match.end - match.start for match in matches[:101]} == {59 * 3 - 1}


# Files


def test_what_is_saved_is_loaded(tmp_path):
    made = build(NORA, ("Quill", ("Baker", "Mason"), "q"), ("漢字", ("“x”",)))
    (tmp_path / "anchors.jsonl").write_text(made.to_jsonl())
    assert AnchorDictionary.load(tmp_path / "anchors.jsonl").anchors == made.anchors


def test_fields_for_people_are_accepted_and_spaces_around_are_not_kept(tmp_path):
    row = {"anchor": " Nora ", "translations": [" Ann"], "count": 3, "type": "person", "contexts": ["…Nora said…"]}
    path = write(tmp_path, json.dumps(row))
    assert AnchorDictionary.load(path).anchors == (Anchor("Nora", ("Ann",), type="person"),)


def write(folder, *lines):
    path = folder / "anchors.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


GOOD = '{"anchor": "Nora", "translations": ["Ann"]}'


@pytest.mark.parametrize(
    "line",
    [
        "Nora -> Ann",
        '{"anchor": "Nora", "translations": ["Ann"',
        '["Nora", "Ann"]',
        '"Nora"',
        '{"anchor": "Nora"}',
        '{"translations": ["Ann"]}',
        '{"anchor": 3, "translations": ["Ann"]}',
        '{"anchor": "Nora", "translations": "Ann"}',
        '{"anchor": "Nora", "translations": [1]}',
        '{"anchor": "Nora", "translations": null}',
        '{"anchor": "Nora", "translations": ["Ann"], "entity": 4}',
        '{"anchor": "Nora", "translations": ["Ann"], "type": 4}',
        '{"anchor": "Nora", "translation": ["Ann"]}',
    ],
)
def test_a_bad_line_is_one_sentence_that_names_file_and_line(tmp_path, line):
    path = write(tmp_path, GOOD, line)
    with pytest.raises(ValueError) as error:
        AnchorDictionary.load(path)
    message = str(error.value)
    assert message.startswith(f"{path}, line 2: ")
    assert "\n" not in message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file or directory"):
        AnchorDictionary.load(tmp_path / "none.jsonl")


def test_a_folder_and_a_file_in_another_encoding(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        AnchorDictionary.load(tmp_path)
    path = tmp_path / "latin.jsonl"
    path.write_bytes(GOOD.encode() + b"\n" + '{"anchor": "Élodie", "translations": ["Zoë"]}\n'.encode("latin-1"))
    with pytest.raises(ValueError, match="latin.jsonl, line 2: not UTF-8"):
        AnchorDictionary.load(path)


@pytest.mark.parametrize("lines", [[], ['{"anchor": "F", "translations": ["x"]}']])
def test_a_file_without_a_usable_anchor(tmp_path, lines):
    with pytest.raises(ValueError, match=f"holds no usable anchor \\({len(lines)} read, all dropped\\)"):
        AnchorDictionary.load(write(tmp_path, *lines))
