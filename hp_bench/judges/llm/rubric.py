"""The question that a language-model judge is asked: the rubric around a prompt and a completion that cannot talk to the judge.

Three things keep the completion in its place: the markers around it hold a digest of the very texts they enclose, so no text can
contain its own; what a chat template or tokenizer might read as a role or an end of turn ("<|im_end|>", "[/INST]") is broken up by a space;
and the placeholders are filled in one pass, so a completion that says "$completion" stays what it is.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from hp_bench.probes.paths import prompts_dir

TARGET = "the Harry Potter books, their author and films"

THEME = "a boarding school of magic, wizards and witches"

_PLACEHOLDERS = {"target", "theme", "boundary", "prompt", "completion"}

#: Role and end tokens of the usual chat templates: <|...|>, <s>, </s>, <start_of_turn>, [INST], [/INST], <<SYS>>.
_TAG = re.compile(r"<(?=[|\uff5c]|/?[^\s<>]{1,60}>)")

_BRACKET = re.compile(r"\[(?=/?[A-Za-z_]{2,40}\])")


@dataclass(frozen=True)
class Rubric:
    """What is asked about every completion: a text with $target (what the model under test should have forgotten, in words), $theme (what
    the target is about, in words), $boundary, $prompt and $completion.
    """

    text: str
    target: str = TARGET
    theme: str = THEME

    def __post_init__(self) -> None:
        template = Template(self.text)
        found = set(template.get_identifiers()) if template.is_valid() else None
        if found != _PLACEHOLDERS:
            holds = ", ".join(f"${name}" for name in sorted(found)) if found else "none that can be filled"
            raise ValueError(
                f"a rubric needs the placeholders {', '.join(f'${name}' for name in sorted(_PLACEHOLDERS))}; this one has {holds}"
            )

    @classmethod
    def load(cls, path: Path | str | None = None, *, target: str = TARGET, theme: str = THEME) -> "Rubric":
        """Reads a rubric file; default: `prompts/judge.txt`. Raises ValueError: it cannot be read or lacks a placeholder."""
        path = prompts_dir() / "judge.txt" if path is None else Path(path)
        try:
            return cls(path.read_text(encoding="utf-8"), target, theme)
        except OSError as error:
            raise ValueError(f"rubric {str(path)!r} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"rubric {str(path)!r} is not UTF-8 text") from None
        except ValueError as error:
            raise ValueError(f"{str(path)!r}: {error}") from None

    @property
    def digest(self) -> str:
        """Digest of the rubric with its target and theme, hexadecimal."""
        return _digest(self.text, self.target, self.theme)

    def question(self, prompt: str, completion: str, *, specials: Sequence[str] = ()) -> str:
        """The whole message to the judge; the same every time. `specials`: its special tokens, broken up where the texts hold them."""
        prompt, completion = neutral(prompt, specials), neutral(completion, specials)
        texts = {"prompt": prompt, "completion": completion, "boundary": boundary(prompt, completion, self.digest)}
        return Template(self.text).substitute(texts, target=self.target, theme=self.theme)


def boundary(prompt: str, completion: str, salt: str = "") -> str:
    """A word of 16 hexadecimal digits that neither text contains: a digest of both."""
    found = _digest(salt, prompt, completion)[:16]
    while found in prompt or found in completion:
        found = _digest(found, prompt, completion)[:16]
    return found


def neutral(text: str, specials: Sequence[str] = ()) -> str:
    """Text in which nothing is a special token: a space breaks each of them up; the rest is as it was."""
    text = text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair could not be sent
    text = _BRACKET.sub("[ ", _TAG.sub("< ", text))
    for special in specials:
        if len(special) > 1 and not special.isspace():
            text = text.replace(special, f"{special[0]} {special[1:]}")
    return text


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
