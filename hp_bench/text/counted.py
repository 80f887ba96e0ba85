"""A number and what it counts, in words."""

import re


def counted(sentence: str, count: int) -> str:
    """The sentence with the number in place of `{}`; of "[one|many]" what suits the number: "{} line[|s]" becomes "1 line" or "2 lines"."""
    return re.sub(r"\[(.*?)\|(.*?)\]", r"\1" if count == 1 else r"\2", sentence).format(count)
