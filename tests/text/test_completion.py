"""Where a completion ends."""

import pytest

from hp_bench.text.completion import cut_at_blank_line


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
