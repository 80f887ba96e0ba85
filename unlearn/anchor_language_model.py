"""Anchors by a language model, as in the paper: it reads random passages and names what is idiosyncratic in them, with replacements."""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

from unlearn.anchor_draft import AnchorDraft, DraftAnchor
from unlearn.anchor_replies import Merged, ReadReply, merge, one_person, read_reply
from unlearn.anchor_sightings import sightings
from unlearn.anchors import Anchor, AnchorDictionary
from unlearn.corpus import Document
from unlearn.endpoint import Answers, Endpoint, Question, ReplyCache, ask

#: More passages without a reply than this share is a failed run.
_MAY_FAIL: Final = 0.01


class UnansweredError(RuntimeError):
    """Too many passages got no reply; those that came are kept, and the same call asks only for the others."""


@dataclass(frozen=True)
class Interview:
    """What was asked and what came back.

    Attributes:
        model: its name.
        prompt: hash of the prompt file, the first 16 hexadecimal digits of SHA-256.
        passages: asked about.
        cached: of those, known from an earlier run.
        retried: attempts beyond the first.
        unanswered: passages without a reply.
        unreadable: replies that are not JSON of the form asked for; nothing was taken from them.
        cut_off: of those, the ones that reached the longest length.
        draft: the anchors; score = how many replies name one.
    """

    model: str
    prompt: str
    passages: int
    cached: int
    retried: int
    unanswered: int
    unreadable: int
    cut_off: int
    draft: AnchorDraft

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**{key: value for key, value in asdict(self).items() if key != "draft"}, **self.draft.to_dict()}


def language_model_anchors(
    corpus: Iterable[Document],
    endpoint: Endpoint,
    *,
    cache: Path | str,
    passages: int = 200,
    passage_chars: int = 3000,
    prompt: Path | str | None = None,
    top: int = 1500,
    min_count: int = 1,
    entities: bool = False,
    seed: int = 0,
) -> Interview:
    """Asks a language model for a target's anchors; the same replies give the same dictionary.

    Args:
        corpus: the unlearn target; read three times.
        endpoint: the model; the paper used GPT-4.
        cache: file of replies; with it an interrupted call goes on, and a call for more passages asks only for those.
        passages: how many to ask about, drawn at random without overlap; all of the corpus if it holds no more.
        passage_chars: length of a passage, in characters; it ends between paragraphs, sentences or words.
        prompt: file with `$passage`; ours by default.
        top: anchors to keep at most, the most frequent; the paper has about 1,500.
        min_count: anchors that the corpus holds less often are left out.
        entities: join first name, surname and full name of a person; see `anchor_replies.one_person`.
        seed: of the draw of passages.

    Raises:
        ValueError: the corpus is empty, the prompt is wrong, the endpoint refuses or does not answer, or no anchor came out.
        UnansweredError: more than 1 % of the passages got no reply.
    """
    if passages < 1 or passage_chars < 1 or top < 1 or min_count < 1:
        raise ValueError(
            f"passages, passage_chars, top and min_count must be at least 1, not {passages}, {passage_chars}, {top}, {min_count}"
        )
    template, prompt_hash = _prompt(prompt)
    texts = draw_passages(corpus, count=passages, length=passage_chars, seed=seed)
    questions = [Question(prompt_hash, text, template.substitute(passage=text)) for text in texts]
    answers = ask(endpoint, questions, ReplyCache(cache))
    _enough(answers, cache)

    read = [(text, reply, read_reply(reply.text)) for text, reply in zip(texts, answers.replies, strict=True) if reply]
    dropped: Counter[str] = Counter()
    merged = merge(((text, parsed) for text, _, parsed in read if isinstance(parsed, ReadReply)), dropped)
    draft = _draft(merged, corpus, top, min_count, entities, dropped)
    unreadable = [reply for _, reply, parsed in read if parsed is None]
    if not draft.anchors:
        raise ValueError(
            f"no anchor came out of {len(read)} replies of {endpoint.model!r}, {len(unreadable)} of them unreadable; see {str(cache)!r}"
        )
    return Interview(
        model=endpoint.model, prompt=prompt_hash, passages=len(texts), cached=answers.cached, retried=answers.retried,
        unanswered=len(texts) - len(read), unreadable=len(unreadable), cut_off=sum(r.cut_off for r in unreadable), draft=draft,
    )  # fmt: skip


def draw_passages(corpus: Iterable[Document], *, count: int, length: int, seed: int) -> list[str]:
    """Random passages that do not overlap; the first n of a draw are the draw of n.

    Args:
        corpus: read twice.
        count: how many; fewer if the corpus holds fewer.
        length: of a passage, in characters, roughly.
        seed: of the draw.
    """
    spans = [
        (number, start, end)
        for number, document in enumerate(corpus)
        for start, end in _cut(document.text, length)
    ]  # fmt: skip
    if not spans:
        raise ValueError("the corpus holds no text")
    random.Random(seed).shuffle(spans)
    wanted: dict[int, list[tuple[int, int, int]]] = {}
    for place, (number, start, end) in enumerate(spans[:count]):
        wanted.setdefault(number, []).append((place, start, end))
    drawn = {
        place: document.text[start:end].strip()
        for number, document in enumerate(corpus)
        for place, start, end in wanted.get(number, [])
    }
    return [drawn[place] for place in sorted(drawn)]


def _cut(text: str, length: int) -> Iterator[tuple[int, int]]:
    """Consecutive spans, each ending at a paragraph, a sentence or a word near `length`; a short rest goes with the last."""
    start = 0
    while start < len(text):
        end = len(text)
        if len(text) - start > 1.25 * length:
            low, high = start + max(length // 2, 1), start + length
            ends = (
                text.rfind("\n\n", low, high),
                max((match.end() for match in re.finditer(r"[.!?][\"”’']?\s", text[low:high])), default=-low - 1) + low,
                text.rfind(" ", low, high),
            )
            end = next((at for at in ends if at > start), high)
        if text[start:end].strip():
            yield start, end
        start = end


def _prompt(path: Path | str | None) -> tuple[Template, str]:
    path = Path(path) if path else _our_prompt()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"prompt {str(path)!r} cannot be read: {error.strerror}") from None
    template = Template(text)
    if not template.is_valid() or template.get_identifiers() != ["passage"]:
        raise ValueError(f"prompt {str(path)!r} must hold $passage and no other placeholder ($$ for a dollar sign)")
    return template, hashlib.sha256(text.encode()).hexdigest()[:16]


def _our_prompt() -> Path:
    """Beside the package in a wheel, in the parent folder in a checkout."""
    package = Path(__file__).resolve().parent
    inside, beside = (folder / "prompts" / "anchors.txt" for folder in (package, package.parent))
    return inside if inside.is_file() else beside


def _enough(answers: Answers, cache: Path | str) -> None:
    missing = sum(reply is None for reply in answers.replies)
    if missing > _MAY_FAIL * len(answers.replies):
        raise UnansweredError(
            f"{missing} of {len(answers.replies)} passages got no reply ({answers.failures[0]}); the other replies are in "
            f"{str(cache)!r}, and the same command asks only for the missing ones"
        )


def _draft(
    merged: Mapping[str, Merged],
    corpus: Iterable[Document],
    top: int,
    min_count: int,
    entities: bool,
    dropped: Counter[str],
) -> AnchorDraft:
    anchors = {text: Anchor(text, said.ordered()) for text, said in merged.items()}
    if entities:
        anchors.update({form.anchor: form for forms in one_person(merged).values() for form in forms})
    dictionary = AnchorDictionary.build(anchors.values())
    dropped.update(drop.reason for drop in dictionary.dropped)
    seen = sightings(corpus, [anchor.anchor for anchor in dictionary.anchors])
    made = []
    for anchor in dictionary.anchors:
        sighting, said = seen[anchor.anchor], merged[anchor.anchor]
        if sighting.count < min_count:
            dropped["only ever inside longer anchors" if not sighting.count else "anchor below min_count"] += 1
            continue
        made.append(
            DraftAnchor(
                anchor.anchor,
                anchor.translations,
                anchor.entity,
                said.type,
                sighting.count,
                float(said.replies),
                tuple(sighting.contexts),
            )
        )
    made.sort(key=lambda anchor: (-anchor.count, anchor.anchor))
    dropped["beyond top"] += max(len(made) - top, 0)
    return AnchorDraft.checked(made[:top], dropped)
