"""What of a model's text is its answer: not what it thinks first, and no more than up to the first blank line after a word."""

import re
import tomllib
from pathlib import Path

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")

_TRACES = tomllib.loads(Path(__file__).with_name("traces.toml").read_text(encoding="utf-8"))

#: Pairs of markers: what opens a trace of thoughts, and what closes it.
MARKERS: list[tuple[str, str]] = [(opening, closing) for opening, closing in _TRACES["markers"]]

_OPENING = re.compile(r"\W*?(?:" + "|".join(f"({re.escape(opening)})" for opening, _ in MARKERS) + ")", re.IGNORECASE)
_CLOSING = [re.compile(re.escape(closing), re.IGNORECASE) for _, closing in MARKERS]


def parts(text: str) -> tuple[str, str | None]:
    """What a model thinks first, without its markers, and what it then says.

    A trace of thoughts begins with one of `MARKERS`, before which only marks and white space may stand. The first is "" where there is
    none, the second None where the trace does not end within the text.
    """
    thought = []
    while begun := _OPENING.match(text):
        end = _CLOSING[(begun.lastindex or 1) - 1].search(text, begun.end())
        thought.append(text[begun.end() : end.start() if end else None])
        if end is None:
            return "\n".join(thought), None
        text = text[end.end() :]
    return "\n".join(thought), text


def thinks(text: str) -> bool:
    """Whether a text begins with a trace of thoughts."""
    return _OPENING.match(text) is not None


def opened(prompt: str) -> str:
    """The marker that a prompt ends with, so that the completion begins within a trace, as some chat templates have it; "" if with none."""
    end = prompt.rstrip().lower()
    return next((opening for opening, _ in MARKERS if end.endswith(opening.lower())), "")


def with_opening(text: str) -> str:
    """A text whose prompt opened a trace unseen: with the opening marker, if the first marker in it is a closing one."""
    for (opening, _), closing in zip(MARKERS, _CLOSING, strict=True):
        before, *after = closing.split(text, maxsplit=1)
        if after and opening.lower() not in before.lower() and not thinks(text):
            return opening + text
    return text


def ends_at_blank_line(text: str) -> bool:
    """Whether a completion ends within a text, so that an engine need not go on."""
    return cut_at_blank_line(text) != text


def cut_at_blank_line(text: str) -> str:
    """The part of a model's text that is its completion, and the trace before it.

    Leading white space and blank lines end nothing, nor does a blank line before which only marks stand: a model that begins with a blank
    line has not fallen silent. Engines may generate to the token limit; this is the same rule for all of them.
    """
    answer = parts(text)[1] or ""
    start = len(text) - len(answer)
    word = next((at for at in range(start, len(text)) if text[at].isalnum()), len(text))
    end = _BLANK_LINE.search(text, word) if answer else None
    return text[: end.start()] if end else text
