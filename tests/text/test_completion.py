"""Where a completion ends."""

import pytest

from hp_bench.text.completion import (
    MARKERS,
    cut_at_blank_line,
    ends_at_blank_line,
    opened,
    parts,
    thinks,
    with_opening,
)


@pytest.mark.parametrize(
    ("text", "completion"),
    [
        (" Ron.\n\nAnswer: B", " Ron."),
        ("\n\nRon Weasley\n\nand so on", "\n\nRon Weasley"),
        ("\n \n\t\n Ron", "\n \n\t\n Ron"),
        (".\n\nRon Weasley", ".\n\nRon Weasley"),
        (" Ron\n \t\nand so on", " Ron"),
        (" Ron\r\n\r\nand so on", " Ron\r"),
        (" Ron\nand Hermione", " Ron\nand Hermione"),
        ("\n\n", "\n\n"),
        ("", ""),
        ("\n\n哈利\n\n波特", "\n\n哈利"),
    ],
)
def test_a_completion_ends_at_the_first_blank_line_after_a_word(text, completion):
    assert cut_at_blank_line(text) == completion


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        (" Ron.", "", " Ron."),
        ("<think>Ron?</think> Ann.", "Ron?", " Ann."),
        (" \n**<THINK>Ron?\n\nNo.</think>", "Ron?\n\nNo.", ""),
        ("<think>Ron?", "Ron?", None),
        ("<think>a</think>\n<think>b</think> c</think>", "a\nb", " c</think>"),
        ("<think>a</think><think>b", "a\nb", None),
        ("<think>a</thinking> b", "a</thinking> b", None),
        ("<thinking>a</thinking> b", "a", " b"),
        ("<reasoning>\na\n</reasoning>\n<answer>b", "\na\n", "\n<answer>b"),
        ("<|begin_of_thought|>a<|end_of_thought|>b", "a", "b"),
        ("[THINK]a[/THINK]b", "a", "b"),
        ("<|channel|>analysis<|message|>a<|end|><|channel|>final<|message|>b", "a<|end|>", "b"),
        ("Ron says <think>a</think> b", "", "Ron says <think>a</think> b"),
        ("a</think> b", "", "a</think> b"),
    ],
)
def test_what_is_thought_before_the_answer_is_no_part_of_it(text, thought, answer):
    assert parts(text) == (thought, answer)
    assert thinks(text) == bool(thought)


@pytest.mark.parametrize(("opening", "closing"), MARKERS)
def test_every_marker_opens_and_closes(opening, closing):
    assert parts(f"\n{opening}a\n\nb{closing}\n\nc") == ("a\n\nb", "\n\nc")
    assert opened(f"<|user|>What?<|assistant|>{opening}\n") == opening
    assert with_opening(f"a{closing}b") == f"{opening}a{closing}b"
    assert with_opening(f"{opening}a{closing}b") == f"{opening}a{closing}b"


def test_a_prompt_that_closes_its_trace_opens_none():
    assert opened("<|assistant|><think>\n\n</think>\n\n") == opened("Write <think> first.") == opened("") == ""
    assert with_opening("no marker") == "no marker"
    for text in ("Ron says <think>a</think> b", "<think>a</think> b</reasoning> c"):
        assert with_opening(text) == text


@pytest.mark.parametrize(
    ("text", "completion"),
    [
        ("<think>a\n\nb</think>\n\nRon.\n\nMore", "<think>a\n\nb</think>\n\nRon."),
        ("<think>a\n\nb", "<think>a\n\nb"),
        ("<think>a\n\nb</think>", "<think>a\n\nb</think>"),
    ],
)
def test_a_blank_line_among_thoughts_ends_nothing(text, completion):
    assert cut_at_blank_line(text) == completion
    assert ends_at_blank_line(text) == (text != completion)
