"""The oracle: docs/method.md in literal loops over one block. Slow and plain on purpose; shares no code with unlearn/.

Every function says the rule of the page that it follows. Where the page leaves a choice, the most literal
reading is taken and a comment says `Reading:`.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch

Occurrence = tuple[int, int, int, int, dict, str]  # source start, end; translated start, end; anchor; translation


@dataclass
class Token:
    """A token and the characters it spans; `end` None: a special token after the text, which ends nowhere in it."""

    id: int
    start: int
    end: int | None
    special: bool


@dataclass
class OracleBlock:
    """What the oracle says of one block; every list is as long as `input_ids`, position i's answer stands at i + 1."""

    input_ids: list[int]
    labels: dict[float, list[int]]  # -100: ignored
    gaps: dict[float, list[float | None]]  # largest minus second largest value of v
    top_ids: list[list[int] | None] | None  # of the first alpha; None altogether without top_k
    top_logits: list[list[float] | None] | None
    mapping: dict[int, int]  # what `position_map` returns: before rule 1
    anchor_ends: tuple[int, int]  # kept, total
    positions: tuple[int, int]  # kept after rule 1, total
    excepted: int  # pairs (translation of the block, id) that `frequent` took out of the forbidden ids; or pairs of ids
    translated: str = ""
    occurrences: list[Occurrence] = field(default_factory=list)


# ---------------------------------------------------------------------------------------------------------- Text


def tokens(text: str, tokenizer: Any, special_tokens: bool = True) -> list[Token]:
    """Both texts, source and translated, are tokenised afresh with special tokens as the tokenizer adds them.

    A special token at the start ends at character 0 and counts as such.
    """
    encoding = tokenizer(
        text, add_special_tokens=special_tokens, return_offsets_mapping=True, return_special_tokens_mask=True
    )
    result: list[Token] = []
    text_seen = False
    for index in range(len(encoding["input_ids"])):
        token_id = encoding["input_ids"][index]
        start, end = encoding["offset_mapping"][index]
        if special_tokens and encoding["special_tokens_mask"][index] == 1:
            if text_seen:
                # Reading: only "a special token at the start" has an end; one after the text has none.
                result.append(Token(token_id, len(text), None, True))
            else:
                result.append(Token(token_id, 0, 0, True))
            continue
        text_seen = True
        result.append(Token(token_id, start, end, False))
    return result


# ------------------------------------------------------------------------------------------------------- Anchors


def is_word_character(character: str) -> bool:
    """Whole words: the neighbouring characters are not letters, digits or underscore."""
    # Reading: as Python's str methods class them, so ² is a digit, ½ and Ⅳ are neither, and a combining accent is none.
    return character.isalpha() or character.isdigit() or character == "_"


def is_whole_word(text: str, start: int, end: int) -> bool:
    """Whole words: the neighbouring characters are not letters, digits or underscore."""
    inside_before = start > 0 and is_word_character(text[start - 1])
    inside_after = end < len(text) and is_word_character(text[end])
    return not inside_before and not inside_after


def find_anchors(text: str, anchors: list[dict]) -> list[tuple[int, int, dict]]:
    """Matching is case-sensitive and takes whole words; a line end counts as a space.

    Of all whole-word matches the leftmost is kept, of several that begin at one place the longest, and none that
    overlaps a kept one.
    """
    kept: list[tuple[int, int, dict]] = []
    for start in range(len(text)):
        longest = None
        for anchor in anchors:
            name = anchor["anchor"]
            end = start + len(name)
            if name == "" or text[start:end].replace("\n", " ") != name or not is_whole_word(text, start, end):
                continue
            if longest is None or len(name) > len(longest["anchor"]):
                longest = anchor
        if longest is None:
            continue
        if len(kept) > 0 and start < kept[-1][1]:
            continue  # overlaps a kept one
        kept.append((start, start + len(longest["anchor"]), longest))
    return kept


def entity_of(anchor: dict) -> str:
    """An anchor without an entity is its own, named by the anchor string."""
    if anchor.get("entity") is None:
        return anchor["anchor"]
    return anchor["entity"]  # Reading: by name, so an anchor "Nora" of its own and an entity "Nora" are one


def draw(seed: int, document: str, block: int, entity: str, count: int) -> int:
    r"""The first 8 bytes, big-endian, of SHA-256 over the text, modulo the number of translations.

    The UTF-8 text is `f"{seed}\x1f{document}\x1f{block}\x1f{entity}"` (document: its id, a string; block: its number in
    the document, from 0).
    """
    key = str(seed) + "\x1f" + document + "\x1f" + str(block) + "\x1f" + entity
    digest = hashlib.sha256(key.encode("utf-8")).digest()
    number = 0
    for byte in digest[:8]:
        number = number * 256 + byte
    return number % count


def translate(text: str, anchors: list[dict], *, seed: int, document: str, block: int) -> tuple[str, list[Occurrence]]:
    """Per block each entity draws ONE index into its translations; the anchors of one entity hold equally many."""
    translated = ""
    occurrences: list[Occurrence] = []
    position = 0
    for start, end, anchor in find_anchors(text, anchors):
        for other in anchors:
            if entity_of(other) == entity_of(anchor):
                assert len(other["translations"]) == len(anchor["translations"]), entity_of(anchor)
        index = draw(seed, document, block, entity_of(anchor), len(anchor["translations"]))
        translation = anchor["translations"][index]
        translated += text[position:start]
        occurrences.append((start, end, len(translated), len(translated) + len(translation), anchor, translation))
        translated += translation
        position = end
    translated += text[position:]
    return translated, occurrences


# ---------------------------------------------------------------------------------------------- Position mapping


def translate_prefix(source: str, end: int, occurrences: list[Occurrence]) -> str | None:
    """The source prefix translates exactly; one that ends with the anchor maps to the end of the translation.

    A prefix that ends strictly inside an anchor has no counterpart (None).
    """
    prefix = ""
    position = 0
    for start, stop, _, _, _, translation in occurrences:
        if start < end < stop:
            return None
        if stop <= end:
            prefix += source[position:start] + translation
            position = stop
    return prefix + source[position:end]


def straddles(token: Token, source: str, occurrences: list[Occurrence]) -> bool:
    """A source token that straddles an anchor's edge is ignored, never guessed.

    The edge lies strictly inside the token once the token's leading and trailing white space is set aside.
    """
    if token.end is None:
        return False
    start, end = token.start, token.end
    while start < end and source[start].isspace():
        start += 1
    while start < end and source[end - 1].isspace():
        end -= 1
    return any(start < left < end or start < right < end for left, right, _, _, _, _ in occurrences)


def run_of(sequence: list[Token], end: int) -> list[int]:
    """Several tokens can end at the same character (the byte tokens of one letter)."""
    run = []
    for index in range(len(sequence)):
        if sequence[index].end == end:
            run.append(index)
    return run


def position_map(
    source: str, anchors: list[dict], tokenizer: Any, *, seed: int, document: str, block: int
) -> dict[int, int]:
    """Kept source position -> position of the translated block, before rule 1.

    It maps to position j of the translated block when the source prefix that ends at token i translates exactly to the
    prefix that ends at token j. The last of a run maps by prefix, to the last of the run in the translated block; the
    earlier ones pair in order, first with first, if both runs hold equal ids, otherwise they are ignored. The last
    token of a block predicts nothing in it.
    """
    translated, occurrences = translate(source, anchors, seed=seed, document=document, block=block)
    ours = tokens(source, tokenizer)
    theirs = tokens(translated, tokenizer)
    mapping: dict[int, int] = {}
    for i in range(len(ours) - 1):
        end = ours[i].end
        if end is None or straddles(ours[i], source, occurrences):
            continue
        prefix = translate_prefix(source, end, occurrences)
        if prefix is None:
            continue
        counterpart = []  # the tokens of the translated block whose prefix is exactly that
        for j in range(len(theirs)):
            if theirs[j].end is not None and translated[: theirs[j].end] == prefix:
                counterpart.append(j)
        if len(counterpart) == 0:
            continue
        run = run_of(ours, end)
        if i == run[-1]:
            mapping[i] = counterpart[-1]
        elif [ours[k].id for k in run] == [theirs[k].id for k in counterpart]:
            mapping[i] = counterpart[run.index(i)]
    return mapping


def anchor_end_shares(
    source: str, sequence: list[Token], occurrences: list[Occurrence], mapping: dict[int, int]
) -> tuple[int, int]:
    """Kept anchor ends as a share of all anchor occurrences that do not end the block.

    An anchor end is kept if the last token that ends with the anchor is mapped.
    """
    kept = 0
    total = 0
    for _, stop, _, _, _, _ in occurrences:
        if stop == len(source):
            continue
        total += 1
        run = run_of(sequence, stop)
        if len(run) > 0 and run[-1] in mapping:
            kept += 1
    return kept, total


# ---------------------------------------------------------------------------------------- Positions inside an anchor


def inside_positions(
    source: str, sequence: list[Token], occurrences: list[Occurrence], mapping: dict[int, int], ignored: set[int]
) -> dict[int, tuple[int, int]]:
    """Source position inside an anchor -> (i0, j0).

    Let i0 be the last source position whose token ends at or before an anchor's first character, and i0+1 .. i1 those
    whose tokens end strictly inside it. If there is an i0, it is mapped by prefix, to j0, none of the tokens i0+1 .. i1
    straddles an edge, and rule 1 leaves at least one of these positions, then each of them is mapped too.
    """
    found: dict[int, tuple[int, int]] = {}
    for start, stop, _, _, _, _ in occurrences:
        i0 = None
        inside = []
        for i in range(len(sequence) - 1):  # the last token of a block predicts nothing in it
            end = sequence[i].end
            if end is not None and end <= start:
                i0 = i
            elif end is not None and end < stop:
                inside.append(i)
        if i0 is None or i0 not in mapping:
            continue
        if any(straddles(sequence[i], source, occurrences) for i in inside):
            continue
        if all(i in ignored for i in inside):
            continue
        for i in inside:
            found[i] = (i0, mapping[i0])
    return found


# ------------------------------------------------------------------------------------------------ Inconsistencies


def ignored_by_rule_1(source: str, sequence: list[Token], occurrences: list[Occurrence], repeats: str) -> set[int]:
    """Ignored: every position whose NEXT token overlaps the second or a later occurrence of an entity in the block.

    Or the white space before it, even if that position also ends another anchor. First occurrences are trained.
    (`repeats: entity`, or `paper`: occurrences counted per anchor string; `none`: nothing is ignored by it.)
    """
    if repeats not in ("entity", "paper", "none"):
        raise ValueError(f"repeats {repeats!r}; allowed: entity, paper, none")
    ignored: set[int] = set()
    if repeats == "none":
        return ignored
    seen: set[str] = set()
    for start, stop, _, _, anchor, _ in occurrences:
        name = entity_of(anchor) if repeats == "entity" else anchor["anchor"]
        if name not in seen:
            seen.add(name)
            continue
        left = start
        while left > 0 and source[left - 1].isspace():
            left -= 1
        for i in range(len(sequence) - 1):
            following = sequence[i + 1]
            # Reading: a token of white space alone whose offsets its tokenizer trimmed to nothing, (5, 5) for the space
            # before character 5, overlaps that space: its end lies beyond `left`
            if following.end is not None and following.start < stop and following.end > left:
                ignored.add(i)
    return ignored


def forbidden_ids(
    translation: str, tokenizer: Any, frequent: set[int], *, forbid: str = "frequent-excepted"
) -> set[int]:
    r"""Forbidden ids: the first token of the translation after a space and after a newline.

    That is, the token that covers the translation's first character in the encodings, without special tokens, of
    `"a " + translation` and `"a\n" + translation`; except ids among the 100 most frequent tokens of the target.
    `forbid: paper` keeps them.
    """
    if forbid not in ("frequent-excepted", "paper"):
        raise ValueError(f"forbid {forbid!r}; allowed: frequent-excepted, paper")
    result: set[int] = set()
    for before in ("a ", "a\n"):
        token_id = first_token(before, translation, tokenizer)
        if token_id is not None and (forbid == "paper" or token_id not in frequent):
            result.add(token_id)
    return result


def first_token(before: str, name: str, tokenizer: Any) -> int | None:
    """The token that covers the name's first character in the encoding, without special tokens, of `before + name`."""
    for token in tokens(before + name, tokenizer, special_tokens=False):
        if token.end is not None and token.start <= len(before) < token.end:
            return token.id  # of several byte tokens of that character the first
    return None


def renames(
    occurrences: list[Occurrence], first: dict[str, int], tokenizer: Any, frequent: set[int]
) -> tuple[list[tuple[int, int, int]], int]:
    """Pairs of ids that change places, each with the position from which on; and how many pairs were excepted.

    From the position of the last token of the translation's first use on: the translation's first token and its
    anchor's first token, found as forbidden ids are, one pair after a space and one after a newline, counted as one if
    they are equal. Pairs are taken in the order of the translations' first uses, the pair after a space first; a
    translation that stands for several anchors in the block goes with the one it stood for first. Two equal ids are no
    pair, nor is a pair that was taken already. Excepted, and counted: a pair with an id among the 100 most frequent
    tokens of the target outside its anchors, and a pair with an id of an earlier pair of the block.
    """
    taken: list[tuple[int, int, int]] = []
    excepted = 0
    seen: set[str] = set()
    for _, _, _, _, anchor, translation in occurrences:
        if translation in seen or translation not in first:
            continue
        seen.add(translation)
        pairs: list[tuple[int, int]] = []
        for before in ("a ", "a\n"):
            theirs = first_token(before, translation, tokenizer)
            ours = first_token(before, anchor["anchor"], tokenizer)
            # Reading: a name that no token covers, as the tokenizer drops its letters, makes no pair
            if theirs is not None and ours is not None and (theirs, ours) not in pairs:
                pairs.append((theirs, ours))
        for theirs, ours in pairs:
            if theirs == ours:
                continue
            if any((theirs, ours) == (one, other) for _, one, other in taken):
                continue
            if theirs in frequent or ours in frequent:
                excepted += 1
                continue
            if any(token_id in (one, other) for _, one, other in taken for token_id in (theirs, ours)):
                excepted += 1
                continue
            taken.append((first[translation], theirs, ours))
    return taken, excepted


def frequent_tokens(
    blocks: list[str], tokenizer: Any, count: int = 100, *, outside: list[dict] | None = None
) -> set[int]:
    """The most frequent tokens of the target.

    Counted over the fresh encodings of its blocks, special tokens left out, ties to the lowest id. `outside`: of the
    target outside its anchors (tokens that overlap one are not counted).
    """
    times: dict[int, int] = {}
    for block in blocks:
        matches = find_anchors(block, outside or [])
        for token in tokens(block, tokenizer):
            overlaps = token.end is not None and any(
                token.start < stop and token.end > start for start, stop, _ in matches
            )
            if not token.special and not overlaps:
                times[token.id] = times.get(token.id, 0) + 1
    ranked = sorted(times, key=lambda token_id: (-times[token_id], token_id))
    return set(ranked[:count])


def name_beginnings(blocks: list[str], anchors: list[dict], tokenizer: Any) -> set[int]:
    """Ids that `forbid_names` bars: the first token of an anchor, after a space or after a newline.

    Less those that, in the target, stand outside anchors more often than as an anchor's first token.
    """
    begin: dict[int, int] = {}
    other: dict[int, int] = {}
    for block in blocks:
        spans = [(start, stop) for start, stop, _ in find_anchors(block, anchors)]
        every = [token for token in tokens(block, tokenizer) if not token.special and token.end is not None]
        for start, stop in spans:
            for token in every:
                if token.start < stop and token.end > start:
                    begin[token.id] = begin.get(token.id, 0) + 1
                    break
        for token in every:
            if not any(token.start < stop and token.end > start for start, stop in spans):
                other[token.id] = other.get(token.id, 0) + 1
    firsts = {first_token(before, row["anchor"], tokenizer) for row in anchors for before in ("a ", "a\n")} - {None}
    return {token_id for token_id in firsts if begin.get(token_id, 0) >= other.get(token_id, 0)}


def unsaid(i: int, ours: list[Token], occurrences: list[Occurrence], barred: set[int], tokenizer: Any) -> set[int]:
    """Ids that `forbid_names` bars at source position i.

    Those of `barred` but the first tokens of anchors that end at or before i; and the next token, if it overlaps the
    first mention of its anchor.
    """
    result = set(barred)
    mentioned: set[str] = set()
    for start, stop, _, _, anchor, _ in occurrences:
        name = anchor["anchor"]
        if name in mentioned:
            continue
        mentioned.add(name)
        overlapping = [t for t in range(len(ours)) if ours[t].end is not None and not ours[t].special
                       and ours[t].start < stop and ours[t].end > start]  # fmt: skip
        if overlapping and overlapping[-1] <= i:
            result -= {first_token(before, name, tokenizer) for before in ("a ", "a\n")}
    again: set[str] = set()
    for start, stop, _, _, anchor, _ in occurrences:
        following = ours[i + 1]
        overlaps = (
            following.end is not None and not following.special and following.start < stop and following.end > start
        )
        if overlaps and anchor["anchor"] not in again:
            result.add(following.id)
        again.add(anchor["anchor"])
    return result


def first_uses(translated_tokens: list[Token], occurrences: list[Occurrence]) -> dict[str, int]:
    """The position of the last token of a translation's first use, in the translated block.

    The last token that overlaps it. A translation is a string: two anchors translated alike share it.
    """
    first: dict[str, int] = {}
    for _, _, start, stop, _, translation in occurrences:
        if translation in first:
            continue
        last = None
        for j in range(len(translated_tokens)):
            token = translated_tokens[j]
            if token.end is not None and token.start < stop and token.end > start:
                last = j
        if last is not None:
            first[translation] = last
    return first


# -------------------------------------------------------------------------------------------------------- Formula


def logits_of(model: Any, ids: list[int]) -> torch.Tensor:
    """Baseline logits on the translated block; reinforced logits on the source block. (T, V)."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


def ranking(values: list[float]) -> list[int]:
    """Label = argmax v, ties to the lowest id: ids from the largest value down."""
    return sorted(range(len(values)), key=lambda token_id: (-values[token_id], token_id))


def label_block(
    source: str,
    anchors: list[dict],
    tokenizer: Any,
    baseline: Any,
    reinforced: Any,
    *,
    seed: int,
    document: str,
    block: int,
    alphas: list[float],
    offset: str = "relu",
    logits: str = "raw",
    forbid: str = "frequent-excepted",
    repeats: str = "entity",
    inside: bool = False,
    barred: set[int] | None = None,
    frequent: set[int],
    top_k: int | None = None,
) -> OracleBlock:
    """Formula, inconsistencies and storage of one block; `reinforced` None means r = b, so v = b.

    At a kept position: b = baseline logits on the translated block at j; r = reinforced logits on the source block at
    i; `v = b - alpha * ReLU(r - b)`; label = argmax v, ties to the lowest id. b stands in BOTH places. `offset: relu`
    or `linear` (no ReLU). `logits: raw` or `log_softmax` (both b and r are log-softmaxed first). Combination and argmax
    are in float32 whatever the models' dtype (float64 if the models are in float64).

    From the position of the last token of a translation's first use on (that position included), the forbidden ids of
    that translation take, in b, the mean of that position's V baseline logits (before any replacement, after the gauge
    `logits`), and this b stands in both places. With `forbid: rename` nothing is forbidden; instead the logits of two
    ids change places in b.

    With `barred` (ids: `name_beginnings`) the ids that `unsaid` gives take, after rule 2, the mean of that b.

    With `inside` a position inside an anchor is read so: b = the baseline's logits behind the translated block's tokens
    0 .. j0 followed by the source's tokens i0+1 .. i. For rule 2 such a position stands at j0.

    `labels[t]` is the target for the token AT t, the model shifts: the label of position i stands at `labels[i+1]`,
    `labels[0] = -100`, ignored = -100. `labels` is the first alpha. Soft labels: `top_ids[i+1]`, `top_logits[i+1]`.

    A translated block that no longer fits the model's context is an error naming the block.
    """
    if offset not in ("relu", "linear"):
        raise ValueError(f"offset {offset!r}; allowed: relu, linear")
    if logits not in ("raw", "log_softmax"):
        raise ValueError(f"logits {logits!r}; allowed: raw, log_softmax")

    translated, occurrences = translate(source, anchors, seed=seed, document=document, block=block)
    ours = tokens(source, tokenizer)
    theirs = tokens(translated, tokenizer)
    context = getattr(getattr(baseline, "config", None), "max_position_embeddings", None)
    if context is not None and len(theirs) > context:
        raise ValueError(f"document {document!r} block {block}: {len(theirs)} translated tokens, context {context}")

    mapping = position_map(source, anchors, tokenizer, seed=seed, document=document, block=block)
    ignored = ignored_by_rule_1(source, ours, occurrences, repeats)

    branches = inside_positions(source, ours, occurrences, mapping, ignored) if inside else {}

    first = first_uses(theirs, occurrences)
    forbidden: dict[str, set[int]] = {}
    renamed: list[tuple[int, int, int]] = []
    excepted = 0
    if forbid == "rename":
        renamed, excepted = renames(occurrences, first, tokenizer, frequent)
    for _, _, _, _, _, translation in occurrences:
        if forbid != "rename" and translation not in forbidden:
            forbidden[translation] = forbidden_ids(translation, tokenizer, frequent, forbid=forbid)
            everything = forbidden_ids(translation, tokenizer, frequent, forbid="paper")
            # Reading of "the excepted are counted": once per block, translation and id
            excepted += len(everything) - len(forbidden[translation])

    all_b = logits_of(baseline, [token.id for token in theirs])
    all_r = None if reinforced is None else logits_of(reinforced, [token.id for token in ours])
    dtype = torch.float32
    if all_b.dtype == torch.float64 and (all_r is None or all_r.dtype == torch.float64):
        dtype = torch.float64

    length = len(ours)
    labels: dict[float, list[int]] = {}
    gaps: dict[float, list[float | None]] = {}
    for alpha in alphas:
        labels[alpha] = [-100] * length
        gaps[alpha] = [None] * length
    top_ids: list[list[int] | None] | None = None if top_k is None else [None] * length
    top_logits: list[list[float] | None] | None = None if top_k is None else [None] * length

    kept = 0
    for i in range(length - 1):
        if (i not in mapping and i not in branches) or i in ignored:
            continue
        kept += 1
        if i in branches:
            i0, j = branches[i]
            path = [token.id for token in theirs[: j + 1]] + [token.id for token in ours[i0 + 1 : i + 1]]
            b = logits_of(baseline, path)[-1].to(dtype).clone()
        else:
            j = mapping[i]
            b = all_b[j].to(dtype).clone()
        if logits == "log_softmax":
            b = torch.log_softmax(b, dim=0)
        mean = b.mean().item()
        for translation in forbidden:
            if translation in first and j >= first[translation]:
                for token_id in forbidden[translation]:
                    b[token_id] = mean
        for position, theirs_id, ours_id in renamed:
            if j >= position:
                kept_back = b[theirs_id].item()
                b[theirs_id] = b[ours_id].item()
                b[ours_id] = kept_back
        if barred is not None:
            mean = b.mean().item()
            for token_id in unsaid(i, ours, occurrences, barred, tokenizer):
                b[token_id] = mean

        if all_r is None:
            r = b.clone()
        else:
            r = all_r[i].to(dtype)
            if logits == "log_softmax":
                r = torch.log_softmax(r, dim=0)

        for alpha in alphas:
            rise = r - b
            if offset == "relu":
                rise = torch.relu(rise)
            v = (b - alpha * rise).tolist()
            ranked = ranking(v)
            labels[alpha][i + 1] = ranked[0]
            gaps[alpha][i + 1] = v[ranked[0]] - v[ranked[1]]
            if alpha == alphas[0] and top_ids is not None and top_logits is not None:
                top_ids[i + 1] = ranked[:top_k]
                top_logits[i + 1] = [v[token_id] for token_id in ranked[:top_k]]

    return OracleBlock(
        input_ids=[token.id for token in ours],
        labels=labels,
        gaps=gaps,
        top_ids=top_ids,
        top_logits=top_logits,
        mapping=mapping,
        anchor_ends=anchor_end_shares(source, ours, occurrences, mapping),
        positions=(kept, max(length - 1, 0)),
        excepted=excepted,
        translated=translated,
        occurrences=occurrences,
    )


# --------------------------------------------------------------------------------------------------------- Blocks


def check_blocks(text: str, blocks: list[tuple[int, int]], tokenizer: Any, block_tokens: int) -> None:
    """Blocks are cut between words, so that the fresh encoding, special tokens included, is at most `block_tokens`.

    The white space at a cut belongs to neither block. A run of characters without white space that alone is too long is
    cut between characters. Every block of a document is kept, the last and short ones too; a block of white space alone
    is none.
    """

    def size(start: int, end: int) -> int:
        """The fresh encoding, special tokens included."""
        return len(tokens(text[start:end], tokenizer))

    # Every block is kept, in order: what lies in no block is white space.
    position = 0
    for start, end in blocks:
        assert position <= start < end <= len(text), f"block ({start}, {end}) is empty, out of order or overlaps"
        assert text[position:start].strip() == "", f"text between blocks is lost: {text[position:start]!r}"
        position = end
    assert text[position:].strip() == "", f"text after the last block is lost: {text[position:]!r}"

    for number in range(len(blocks)):
        start, end = blocks[number]
        assert text[start:end].strip() != "", f"block {number} is white space alone"
        assert size(start, end) <= block_tokens, f"block {number}: {size(start, end)} tokens, allowed {block_tokens}"
        # Reading: the edges of the document are no cuts, so white space there may belong to the block or not.
        assert number == 0 or not text[start].isspace(), f"block {number} begins with white space"
        assert number == len(blocks) - 1 or not text[end - 1].isspace(), f"block {number} ends with white space"

    for number in range(len(blocks) - 1):
        start, cut = blocks[number]
        following, end = blocks[number + 1]
        if cut == following:  # cut between characters: only inside a run that alone is too long
            left = cut
            while left > 0 and not text[left - 1].isspace():
                left -= 1
            right = cut
            while right < len(text) and not text[right].isspace():
                right += 1
            assert size(left, right) > block_tokens, f"cut inside {text[left:right]!r}, which fits a block"
        joined = size(start, end)
        # No needless pieces; 3 tokens of slack, as encodings of parts do not add up.
        assert joined > block_tokens - 3, f"blocks {number} and {number + 1} together are {joined} of {block_tokens}"
