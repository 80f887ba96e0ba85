"""Anchors by a language model, as in the paper: it reads random passages and names what is idiosyncratic in them, with replacements."""

import hashlib
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template
from typing import Any, Final

from unlearn.anchors.dictionary import Anchor, AnchorDictionary, AnchorDraft, DraftAnchor
from unlearn.anchors.occurrences import occurrences
from unlearn.anchors.types import TYPES
from unlearn.chat import Asking, Endpoint, Reply, ReplyCache, reply_key
from unlearn.corpus.corpus import Document
from unlearn.files import packaged

#: More passages without a reply than this share is a failed run.
_MISSING_LIMIT: Final = 0.01


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


@dataclass
class Merged:
    """What all replies say of one anchor: how many give each translation and each type, and how many name it."""

    translations: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    replies: int = 0

    @property
    def type(self) -> str:
        """The commonest type, the first named of several; "other" where none is."""
        return max(self.types, key=self.types.__getitem__, default="other")

    def ordered(self) -> tuple[str, ...]:
        """Distinct translations, the commonest first, the first named of equally common ones."""
        return tuple(translation for translation, _ in self.translations.most_common())


def language_model_anchors(
    corpus: Iterable[Document], endpoint: Endpoint, *, cache: Path | str, passages: int = 200, passage_chars: int = 3000,
    prompt: Path | str | None = None, top: int = 1500, min_count: int = 1, entities: bool = False, seed: int = 0,
) -> Interview:  # fmt: skip
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
        entities: join first name, surname and full name of a person; see `one_person`.
        seed: of the draw of passages.

    Raises:
        ValueError: the corpus is empty, the prompt is wrong, the endpoint refuses or does not answer, or no anchor came out.
        UnansweredError: more than 1 % of the passages got no reply.
    """
    counts = (passages, passage_chars, top, min_count)
    if min(counts) < 1:
        listed = ", ".join(map(str, counts))
        raise ValueError(f"passages, passage_chars, top and min_count must be at least 1, not {listed}")
    template, prompt_hash = _prompt(prompt)
    texts = draw_passages(corpus, count=passages, length=passage_chars, seed=seed)
    keys = [reply_key(endpoint.model, prompt_hash, text) for text in texts]
    questions = {key: template.substitute(passage=text) for key, text in zip(keys, texts, strict=True)}
    replies, limit = ReplyCache(cache), endpoint.max_tokens
    unknown = [key for key in questions if replies.get(key, limit) is None]

    def keep(number: int, reply: Reply) -> None:
        replies.put(unknown[number], endpoint.model, reply, limit)

    asking = Asking(endpoint, keep, alike=True)
    failures = asking.all([questions[key] for key in unknown]) if unknown else {}
    if asking.refusal:
        raise ValueError(f"endpoint {endpoint.base_url} refuses: {asking.refusal}")
    if failures and not asking.answered:
        raise ValueError(f"endpoint {endpoint.base_url} gives no answer: {asking.first_failure}")
    given = [(text, replies.get(key, limit)) for text, key in zip(texts, keys, strict=True)]
    read = [(text, reply, read_reply(reply.text)) for text, reply in given if reply]
    unanswered = len(texts) - len(read)
    if unanswered > _MISSING_LIMIT * len(texts):
        raise UnansweredError(
            f"{unanswered} of {len(texts)} passages got no reply ({asking.first_failure}); the other replies are in "
            f"{str(cache)!r}, and the same command asks only for the missing ones"
        )
    dropped: Counter[str] = Counter()
    merged = merge(((text, entries) for text, _, entries in read if entries is not None), dropped)
    anchors = {text: Anchor(text, said.ordered()) for text, said in merged.items()}
    if entities:
        anchors |= {form.anchor: form for forms in one_person(merged).values() for form in forms}
    draft = _draft(AnchorDictionary.build(anchors.values()), merged, corpus, top, min_count, dropped)
    unreadable = [reply for _, reply, entries in read if entries is None]
    if not draft.anchors:
        raise ValueError(
            f"no anchor came out of {len(read)} replies of {endpoint.model!r}, {len(unreadable)} of them unreadable; see {str(cache)!r}"
        )
    return Interview(
        model=endpoint.model, prompt=prompt_hash, passages=len(texts), cached=len(questions) - len(unknown), retried=asking.retried,
        unanswered=unanswered, unreadable=len(unreadable), cut_off=sum(r.cut_off for r in unreadable), draft=draft,
    )  # fmt: skip


def draw_passages(corpus: Iterable[Document], *, count: int, length: int, seed: int) -> list[str]:
    """So many random passages of roughly `length` characters that do not overlap, or fewer if the corpus, read twice, holds fewer.

    The first n of a draw are the draw of n.
    """
    spans = [(number, *span) for number, document in enumerate(corpus) for span in _cut(document.text, length)]
    if not spans:
        raise ValueError("the corpus holds no text")
    random.Random(seed).shuffle(spans)
    wanted = defaultdict(list)
    for place, (number, start, end) in enumerate(spans[:count]):
        wanted[number].append((place, start, end))
    drawn = {
        place: document.text[start:end].strip()
        for number, document in enumerate(corpus)
        for place, start, end in wanted[number]
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
    path = Path(path) if path else packaged(Path(__file__).resolve().parents[1], "prompts/anchors.txt")
    try:
        template = Template(text := path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"prompt {str(path)!r} cannot be read: {error.strerror}") from None
    if not template.is_valid() or template.get_identifiers() != ["passage"]:
        raise ValueError(f"prompt {str(path)!r} must hold $passage and no other placeholder ($$ for a dollar sign)")
    return template, hashlib.sha256(text.encode()).hexdigest()[:16]


def _draft(
    dictionary: AnchorDictionary, merged: Mapping[str, Merged], corpus: Iterable[Document], top: int, min_count: int,
    dropped: Counter[str],
) -> AnchorDraft:  # fmt: skip
    dropped.update(drop.reason for drop in dictionary.dropped)
    seen = occurrences(corpus, [anchor.anchor for anchor in dictionary.anchors])
    made = []
    for anchor in dictionary.anchors:
        entry, said = seen[anchor.anchor], merged[anchor.anchor]
        if entry.count < min_count:
            dropped["only ever inside longer anchors" if not entry.count else "anchor below min_count"] += 1
            continue
        known = (said.type, entry.count, float(said.replies), tuple(entry.contexts))
        made.append(DraftAnchor(anchor.anchor, anchor.translations, anchor.entity, *known))
    made.sort(key=lambda anchor: (-anchor.count, anchor.anchor))
    dropped["beyond top"] += max(len(made) - top, 0)
    return AnchorDraft.checked(made[:top], dropped)


_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"```[\w-]*\n(.*?)```", re.DOTALL)


def read_reply(text: str) -> list[DraftAnchor | None] | None:
    """The entries of a reply, None for one that is not as asked for; None if the reply is not JSON of a form we know.

    Read are a list of {anchor, translations}, an object with such a list, one such object, or an object anchor -> translations; bare,
    in a fence, or with words before and after. A reply that was cut off is none of them.
    """
    text = _THOUGHT.sub("", text).strip()
    fenced = _FENCED.findall(text)
    starts = [at for at in (text.find("["), text.find("{")) if at >= 0]
    attempts = [text, *fenced[-1:]]
    if starts and not fenced:
        first = min(starts)
        attempts.append(text[first : text.rfind("]" if text[first] == "[" else "}") + 1])
    for attempt in attempts:
        try:
            entries = _entries(json.loads(attempt))
        except (ValueError, RecursionError):
            continue
        if entries is not None:
            return [_proposal(entry) for entry in entries]
    return None


def merge(replies: Iterable[tuple[str, Sequence[DraftAnchor | None]]], dropped: Counter[str]) -> dict[str, Merged]:
    """Anchor -> what the replies say of it, in the order in which they are named; `dropped` takes the counts of what was left out.

    `replies`: passages and what was read for them; their order decides between equals.
    """
    merged: dict[str, Merged] = defaultdict(Merged)
    for passage, entries in replies:
        dropped["entry that is not as asked for"] += sum(entry is None for entry in entries)
        named: set[str] = set()
        for proposal in filter(None, entries):
            anchor = _as_written(proposal.anchor, passage)
            if anchor is None:
                dropped["anchor that is not in its passage"] += 1
                continue
            known = merged[anchor]
            known.translations.update(dict.fromkeys(proposal.translations, 1))
            known.types.update([proposal.type] if proposal.type else [])
            known.replies += anchor not in named
            named.add(anchor)
    return dict(merged)


def one_person(merged: Mapping[str, Merged]) -> dict[str, tuple[Anchor, ...]]:
    """Entities among the anchors, cautiously: a full name of two words with its words, all of them persons and nobody else's.

    Their translations are those of the full name that have two words too, taken apart, so that first name, surname and both agree;
    what the replies gave for the parts alone is given up. Fewer than two such translations: no entity.
    """
    people = {anchor for anchor, said in merged.items() if said.type == "person"}
    full = [tuple(anchor.split()) for anchor in people if len(anchor.split()) == 2]
    uses = Counter(word for name in full for word in set(name))
    made: dict[str, tuple[Anchor, ...]] = {}
    for first, last in sorted(full):
        parts = [word for word in (first, last) if word in people]
        if not parts or first == last or uses[first] > 1 or uses[last] > 1:
            continue
        name = f"{first} {last}"
        pairs = [tuple(t.split()) for t in merged[name].ordered() if len(t.split()) == 2]
        if len(pairs) < 2:
            continue
        forms = [Anchor(name, tuple(" ".join(pair) for pair in pairs), name)]
        forms += [Anchor(part, tuple(pair[part == last] for pair in pairs), name) for part in parts]
        made[name] = tuple(forms)
    return made


def _entries(value: Any) -> list[Any] | None:
    if isinstance(value, list):
        return value if all(isinstance(entry, dict) for entry in value) else None
    if not isinstance(value, dict):
        return None
    if "anchor" in value or "translations" in value:
        return [value] if "anchor" in value and "translations" in value else None
    inner = next(iter(value.values())) if len(value) == 1 else None
    if isinstance(inner, list) and all(isinstance(entry, dict) for entry in inner):
        return inner
    return [{"anchor": anchor, "translations": translations} for anchor, translations in value.items()]


def _proposal(entry: dict[str, Any]) -> DraftAnchor | None:
    """An anchor with translations; its type is "" where the reply names none that we know."""
    anchor, translations, kind = entry.get("anchor"), entry.get("translations"), entry.get("type")
    given = [translations] if isinstance(translations, str) else translations
    if not isinstance(anchor, str) or not isinstance(given, list) or not all(isinstance(t, str) for t in given):
        return None
    cleaned = tuple(dict.fromkeys(" ".join(t.split()) for t in given if t.strip()))
    if not anchor.strip() or not cleaned:
        return None
    return DraftAnchor(" ".join(anchor.split()), cleaned, type=kind if kind in TYPES else "")


def _as_written(anchor: str, passage: str) -> str | None:
    """The anchor as the passage has it, straight and curly apostrophes aside; None if it is no whole word there."""
    for spelling in dict.fromkeys((anchor, anchor.replace("'", "’"), anchor.replace("’", "'"))):
        if AnchorDictionary((Anchor(spelling, ()),)).find(passage):
            return spelling
    return None
