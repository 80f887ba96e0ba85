"""Where a completion ends: at the first blank line after text that holds a word."""

import re

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


def ends_at_blank_line(text: str) -> bool:
    """Whether a completion ends within a text, so that an engine need not go on."""
    return cut_at_blank_line(text) != text


def cut_at_blank_line(text: str) -> str:
    """The part of a model's text that is its completion.

    Leading white space and blank lines end nothing, nor does a blank line before which only marks stand: a model that begins with a blank
    line has not fallen silent. Engines may generate to the token limit; this is the same rule for all of them.
    """
    word = next((at for at, character in enumerate(text) if character.isalnum()), len(text))
    end = _BLANK_LINE.search(text, word)
    return text[: end.start()] if end else text
