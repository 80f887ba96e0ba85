"""The labels equal the oracle's: docs/method.md in literal loops."""

import random

import oracle
import pytest
import tiny
import torch
from worlds import ADVERSARIAL, dictionary, text

from unlearn.align import ForbiddenIds, align
from unlearn.anchors import Anchor, AnchorDictionary
from unlearn.corpus import Block, Document, blocks, frequent_tokens, token_counts
from unlearn.encoding import encode
from unlearn.label_settings import LabelSettings, alpha_column
from unlearn.labels import Labeller

ALL_TEXT = ADVERSARIAL + tiny.TEXT


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def family(request):
    """A tokenizer of one family, and two float64 models that differ."""
    tokenizer = tiny.tokenizer(request.param, ALL_TEXT * 2)
    models = [tiny.llama(len(tokenizer), seed=seed, dtype=torch.float64) for seed in (1, 2)]
    return tokenizer, *models


def as_dictionary(rows: list[dict]) -> AnchorDictionary:
    return AnchorDictionary(tuple(Anchor(r["anchor"], tuple(r["translations"]), r.get("entity", "")) for r in rows))


def block_of(tokenizer, source: str, number: int = 0, document: str = "doc") -> Block:
    return Block(document, number, 0, len(source), source, encode(tokenizer, [source])[0])


def compare(family, sources, rows, settings: LabelSettings, batch: int, frequent=None):
    tokenizer, baseline, reinforced = family
    frequent = frozenset() if frequent is None else frequent
    labeller = Labeller(
        baseline, reinforced, tokenizer, as_dictionary(rows), settings, frequent=frequent, row_bytes=50_000
    )
    made = [block_of(tokenizer, source, number) for number, source in enumerate(sources)]
    found = []
    for begin in range(0, len(made), batch):
        found += labeller(made[begin : begin + batch])[0]
    for number, (source, row) in enumerate(zip(sources, found, strict=True)):
        truth = oracle.label_block(
            source, rows, tokenizer, baseline, reinforced, seed=settings.seed, document="doc", block=number,
            alphas=list(settings.alphas), offset=settings.offset, logits=settings.logits, forbid=settings.forbid,
            repeats=settings.repeats, frequent=set(frequent), top_k=settings.top_k or None,
        )  # fmt: skip
        assert row["input_ids"] == truth.input_ids
        for n, alpha in enumerate(settings.alphas):
            column = "labels" if n == 0 else alpha_column(alpha)
            assert row[column] == truth.labels[alpha], (number, source, alpha)
        if settings.top_k:
            for mine, theirs, ids, truth_ids in zip(
                row["top_logits"], truth.top_logits, row["top_ids"], truth.top_ids, strict=True
            ):
                if theirs is None:
                    assert set(ids) == {-100}
                else:
                    assert ids == truth_ids
                    assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("batch", [1, 16])
def test_labels_equal_the_oracle(family, seed, batch):
    rng = random.Random(seed)
    rows = dictionary(rng)
    sources = rng.sample(ADVERSARIAL, 6) + [text(rng) for _ in range(2)]
    settings = LabelSettings(
        alphas=(5.0, 0.0, 2.5), offset=rng.choice(["relu", "linear"]), logits=rng.choice(["raw", "log_softmax"]),
        repeats=rng.choice(["entity", "paper"]), forbid=rng.choice(["frequent-excepted", "paper"]), top_k=3, seed=seed,
    )  # fmt: skip
    frequent = oracle.frequent_tokens(sources, family[0], 20)
    compare(family, sources, rows, settings, batch, frozenset(frequent))


def test_every_adversarial_text(family):
    rows = [
        {"anchor": n, "translations": ["Ann", "the harbour"]}
        for n in ("Nora", "Quill", "Port Ansel", "Brandt", "lantern", "東京", "Élodie", "🦉")
    ]
    compare(family, ADVERSARIAL, rows, LabelSettings(alphas=(3.0,), block_tokens=512), 4)


def test_no_anchors_and_no_reinforcement(family):
    tokenizer, baseline, _ = family
    compare(family, ADVERSARIAL[:3], [], LabelSettings(alphas=(5.0,)), 3)
    compare(
        (tokenizer, baseline, None), ADVERSARIAL[:3], [{"anchor": "Nora", "translations": ["Ann"]}], LabelSettings(), 3
    )


def test_frequent_tokens_equal_the_oracle(family):
    tokenizer = family[0]
    documents = [Document(str(n), t) for n, t in enumerate(ALL_TEXT)]
    counts, _ = token_counts(documents, tokenizer, 64)
    texts = [b.text for d in documents for b in blocks(d, tokenizer, 64)]
    assert set(frequent_tokens(counts)) == oracle.frequent_tokens(texts, tokenizer)


@pytest.mark.parametrize("block_tokens", [4, 16, 64])
def test_blocks_hold_what_the_page_says(family, block_tokens):
    tokenizer = family[0]
    rng = random.Random(0)
    for source in [" ".join(ALL_TEXT), text(rng, 400), "漢字" * 200, " \n ", "x" * 500 + " Nora " + "y" * 300]:
        spans = [(b.start, b.end) for b in blocks(Document("d", source), tokenizer, block_tokens)]
        oracle.check_blocks(source, spans, tokenizer, block_tokens)


def test_float32_disagrees_only_at_ties(family):
    tokenizer, baseline, reinforced = family
    rng = random.Random(5)
    rows, sources = dictionary(rng), [text(rng, 80) for _ in range(4)]
    settings = LabelSettings(alphas=(5.0,))
    single = [tiny.llama(len(tokenizer), seed=seed) for seed in (1, 2)]
    labeller = Labeller(*single, tokenizer, as_dictionary(rows), settings, frequent=frozenset())
    found, _ = labeller([block_of(tokenizer, source, number) for number, source in enumerate(sources)])
    double = [model.double() for model in single]
    for number, (source, row) in enumerate(zip(sources, found, strict=True)):
        truth = oracle.label_block(
            source, rows, tokenizer, *double, seed=0, document="doc", block=number, alphas=[5.0], frequent=set()
        )
        for mine, theirs, gap in zip(row["labels"], truth.labels[5.0], truth.gaps[5.0], strict=True):
            assert mine == theirs or (gap is not None and gap < 1e-3)


def test_forbidden_ids_equal_the_oracle(family):
    tokenizer = family[0]
    for rule in ("frequent-excepted", "paper"):
        for frequent in (frozenset(), frozenset(range(0, len(tokenizer), 3))):
            mine = ForbiddenIds(tokenizer, frequent, rule)
            for translation in ("Ann", "the harbour", "Zoë", "北京", '"Bob"', "🦊", "x", "O'Neil"):
                assert set(mine(translation)[0]) == oracle.forbidden_ids(
                    translation, tokenizer, set(frequent), forbid=rule
                )


def test_share_of_kept_anchor_ends_is_counted_as_the_oracle_counts(family):
    tokenizer, baseline, reinforced = family
    rng = random.Random(11)
    rows, source = dictionary(rng), text(rng, 60)
    _, report = align(
        [block_of(tokenizer, source)],
        tokenizer,
        as_dictionary(rows),
        LabelSettings(),
        ForbiddenIds(tokenizer, frozenset(), "paper"),
    )
    truth = oracle.label_block(
        source, rows, tokenizer, baseline, reinforced, seed=0, document="doc", block=0, alphas=[5.0], frequent=set()
    )
    assert (report.anchors_kept, report.anchors) == truth.anchor_ends
    assert (report.kept, report.positions) == truth.positions


def test_this_file_would_notice(family, monkeypatch):
    """The comparison fails when rule 2 is switched off: it is not vacuous."""
    from unlearn.rule_two import RuleTwo

    monkeypatch.setattr(RuleTwo, "apply", lambda self, baseline: baseline)
    rows = [{"anchor": n, "translations": ["Ann", "the harbour"]} for n in ("Nora", "Quill", "Port Ansel", "Brandt")]
    with pytest.raises(AssertionError):
        compare(family, ADVERSARIAL * 2, rows, LabelSettings(alphas=(0.0,), top_k=400), 4)
