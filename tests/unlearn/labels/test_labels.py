"""The labels equal the oracle's: docs/method.md in literal loops."""

import random

import oracle
import pytest
import tiny
import torch
from tokenizers import normalizers
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)
from worlds import ADVERSARIAL, TRANSLATIONS, dictionary, text
from worlds import NAMES as WORDS

from unlearn.anchors.dictionary import Anchor, AnchorDictionary, Match
from unlearn.corpus.blocks import Block, Blocks, blocks, encode
from unlearn.corpus.corpus import Corpus, Document
from unlearn.labels.align import LabelReport, align
from unlearn.labels.labeller import Labeller
from unlearn.labels.position_logits import PositionLogits
from unlearn.labels.rule_two import Changes, ForbiddenIds, TargetNames, frequent_tokens
from unlearn.labels.translate import Replacement
from unlearn.settings import LabelSettings, alpha_column

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


def labelled(family, sources, rows, settings: LabelSettings, batch: int, frequent=frozenset()):
    tokenizer, baseline, reinforced = family
    made = [block_of(tokenizer, source, number) for number, source in enumerate(sources)]
    names = TargetNames(tokenizer, as_dictionary(rows), made) if settings.forbid_names else None
    labeller = Labeller(
        baseline, reinforced, tokenizer, as_dictionary(rows), settings, frequent=frequent, names=names, row_bytes=50_000
    )
    found, report = [], LabelReport()
    for begin in range(0, len(made), batch):
        more, counted = labeller(made[begin : begin + batch])
        found += more
        report.add(counted)
    return found, report


def truth(family, sources, rows, settings: LabelSettings, frequent=frozenset()) -> list[oracle.OracleBlock]:
    barred = oracle.name_beginnings(sources, rows, family[0]) if settings.forbid_names else None
    return [
        oracle.label_block(
            source, rows, *family, seed=settings.seed, document="doc", block=number, alphas=list(settings.alphas),
            offset=settings.offset, logits=settings.logits, forbid=settings.forbid, repeats=settings.repeats,
            inside=settings.inside, barred=barred, frequent=set(frequent), top_k=settings.top_k or None,
        )
        for number, source in enumerate(sources)
    ]  # fmt: skip


def check(found, report, expected: list[oracle.OracleBlock], settings: LabelSettings):
    for number, (row, block) in enumerate(zip(found, expected, strict=True)):
        assert row["input_ids"] == block.input_ids
        for n, alpha in enumerate(settings.alphas):
            column = "labels" if n == 0 else alpha_column(alpha)
            assert row[column] == block.labels[alpha], (number, block.translated, alpha)
        if settings.top_k:
            for mine, theirs, ids, truth_ids in zip(
                row["top_logits"], block.top_logits, row["top_ids"], block.top_ids, strict=True
            ):
                if theirs is None:
                    assert set(ids) == {-100}
                else:
                    assert ids == truth_ids
                    assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-6)
    assert (report.kept, report.positions) == tuple(
        map(sum, zip(*(block.positions for block in expected), strict=True))
    )
    assert report.excepted == sum(block.excepted for block in expected)
    ends = [block.anchor_ends for block in expected]
    assert (report.anchors_kept, report.anchors) == tuple(map(sum, zip(*ends, strict=True)))


def compare(family, sources, rows, settings: LabelSettings, batch: int, frequent=frozenset()):
    found, report = labelled(family, sources, rows, settings, batch, frequent)
    check(found, report, truth(family, sources, rows, settings, frequent), settings)


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


@pytest.mark.parametrize("rule", ["rename", "frequent-excepted"])
def test_no_label_is_a_name_that_the_block_has_not_held(family, rule):
    """Against the oracle; without the rule other ids are among the fifty likeliest."""
    rows = [{"anchor": name, "translations": [other, "the harbour"]} for name, other in NAMES.items()]
    settings = LabelSettings(alphas=(0.0,), inside=True, forbid=rule, repeats="none", forbid_names=True, top_k=50)
    barred = oracle.name_beginnings(ADVERSARIAL, rows, family[0])
    assert barred
    expected = truth(family, ADVERSARIAL, rows, settings)
    found, report = labelled(family, ADVERSARIAL, rows, settings, 4)
    check(found, report, expected, settings)
    before, _ = labelled(family, ADVERSARIAL, rows, settings.model_copy(update={"forbid_names": False}), 4)
    assert [row["top_ids"] for row in before] != [row["top_ids"] for row in found]


@pytest.mark.parametrize("seed", range(3))
def test_inside_anchors_and_renamed_equal_the_oracle(family, seed, monkeypatch):
    """A block by itself and several padded; all branches in one pass, and each as a sequence of its own."""
    assert PositionLogits(family[1]).reads_trees
    rng = random.Random(100 + seed)
    rows = dictionary(rng)
    sources = rng.sample(ADVERSARIAL, 5) + [text(rng, 20)]
    settings = LabelSettings(
        alphas=(5.0, 0.5), offset=rng.choice(["relu", "linear"]), logits=rng.choice(["raw", "log_softmax"]),
        repeats=["none", "none", "entity"][seed], forbid=["rename", rng.choice(["frequent-excepted", "paper"]), "rename"][seed],
        inside=True, forbid_names=seed > 0, top_k=3, seed=seed, batch_blocks=3,
    )  # fmt: skip
    outside = rows if settings.forbid == "rename" else None
    frequent = frozenset(oracle.frequent_tokens(sources, family[0], 8, outside=outside))
    expected = truth(family, sources, rows, settings, frequent)
    for batch, trees in ((1, True), (16, True), (16, False)):
        monkeypatch.setattr(PositionLogits, "reads_trees", trees)
        check(*labelled(family, sources, rows, settings, batch, frequent), expected, settings)


NAMES = {"Nora": "Ann", "Quill": "Ann", "Port Ansel": "New York", "Captain Brandt": "a man", "Captain": "Sir", "magic lantern": "lamp",
         "東京": "北京", "Élodie": "Zoë", "🦉": "🦊"}  # fmt: skip


def test_every_adversarial_text_inside_and_renamed(family):
    rows = [{"anchor": name, "translations": [other, "the harbour"]} for name, other in NAMES.items()]
    frequent = frozenset(oracle.frequent_tokens(ADVERSARIAL, family[0], 5, outside=rows))
    settings = LabelSettings(alphas=(3.0,), inside=True, forbid="rename", repeats="none")
    expected = truth(family, ADVERSARIAL, rows, settings, frequent)
    check(*labelled(family, ADVERSARIAL, rows, settings, 4, frequent), expected, settings)
    assert sum(b.positions[0] for b in expected) > sum(len(b.mapping) for b in expected)  # some lie inside an anchor


def architecture(name: str, size: int, seed: int):
    """A tiny float64 model that takes masks of any shape (gpt2), none (bloom, mamba), or is blind for what lies far back (mistral)."""
    torch.manual_seed(seed)
    shared = {"vocab_size": size, "initializer_range": 0.15, "bos_token_id": 1, "eos_token_id": 2}
    if name == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(n_positions=256, n_embd=32, n_layer=2, n_head=2, **shared))
    elif name == "bloom":
        model = BloomForCausalLM(BloomConfig(hidden_size=32, n_layer=2, n_head=2, **shared))
    elif name == "mamba":
        model = MambaForCausalLM(MambaConfig(hidden_size=32, state_size=4, num_hidden_layers=1, **shared))
    else:
        config = MistralConfig(
            hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=1, num_key_value_heads=1,
            sliding_window=12, **shared,
        )  # fmt: skip
        model = MistralForCausalLM(config)
    return model.double().eval()


@pytest.mark.parametrize(
    ("name", "trees"), [("gpt2", True), ("bloom", False), ("mamba", False), ("mistral window 12", True)]
)
def test_other_architectures_read_inside_anchors(name, trees):
    """What takes no such mask is read branch by branch, and so is what a mask would let see farther than it does."""
    tokenizer = tiny.tokenizer("byte_bpe", ALL_TEXT * 2)
    models = [architecture(name, len(tokenizer), seed) for seed in (1, 2)]
    assert PositionLogits(models[0]).reads_trees is trees
    rows = [{"anchor": name, "translations": [other]} for name, other in NAMES.items()]
    settings = LabelSettings(alphas=(2.0,), inside=True, forbid="rename", repeats="none", top_k=2)
    compare((tokenizer, *models), [ADVERSARIAL[0], ADVERSARIAL[2], ADVERSARIAL[10]], rows, settings, 3)


def test_special_tokens_where_rounding_runs_wild_do_not_hide_that_a_model_takes_the_mask():
    """SmolLM2, taught: 4e-3 between two readings of tokens that no training has touched; branch by branch its labels took three times as long."""
    model = tiny.llama(400)

    def wild(_, given, states):
        return states + 0.05 * torch.randn_like(states) * (given[0] < 17)[..., None]

    model.get_input_embeddings().register_forward_hook(wild)
    assert PositionLogits(model).reads_trees


def test_models_in_half_precision_take_the_mask():
    for dtype in (torch.bfloat16, torch.float16):
        assert PositionLogits(tiny.llama(40, dtype=dtype, layers=4)).reads_trees


def test_an_anchor_whose_last_letter_is_no_token_ends_a_block():
    """Then the block's last token ends inside it, and predicts nothing."""
    tokenizer = tiny.tokenizer("byte_bpe")
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("!", "")
    models = [tiny.llama(len(tokenizer), seed=seed, dtype=torch.float64, hidden=32) for seed in (1, 2)]
    rows = [{"anchor": "Nora Quill!", "translations": ["a man"]}]
    sources = ["the old “Nora Quill!", "the old Nora Quill! said"]
    compare((tokenizer, *models), sources, rows, LabelSettings(inside=True, forbid="rename", repeats="none"), 2)


def rules_of(tokenizer, forbidden: ForbiddenIds, stands_for: dict[str, str]):
    """Rule 2 of a text of translations, each of which stands for one anchor."""
    replacements, start = [], 0
    for translation, anchor in stands_for.items():
        match = Match(start, start + len(translation), Anchor(anchor, (translation,)))
        replacements.append(Replacement(match, translation, match.start, match.end))
        start = match.end + 1
    return forbidden.rules(encode(tokenizer, [" ".join(stands_for)])[0], replacements)


def test_renames_equal_the_oracle(family):
    tokenizer, rng = family[0], random.Random(0)
    some = frozenset(rng.sample(range(len(tokenizer)), len(tokenizer) // 8))
    excepted = 0
    for frequent in [frozenset()] * 5 + [some] * 5:
        names = rng.sample(TRANSLATIONS + WORDS, 12)
        stands_for = {name: rng.choice(WORDS) for name in names}
        occurrences = [(0, 0, 0, 0, {"anchor": stands_for[name]}, name) for name in names]
        expected = oracle.renames(occurrences, {name: n for n, name in enumerate(names)}, tokenizer, set(frequent))
        rules, count = rules_of(tokenizer, ForbiddenIds(tokenizer, frequent, "rename"), stands_for)
        assert ([(n, *pair) for n, (_, found) in enumerate(rules) for pair in found], count) == expected
        excepted += count
    assert excepted


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
    cut = Blocks.open(Corpus(documents), tokenizer, 64)
    texts = [b.text for d in documents for b in blocks(d, tokenizer, 64)]
    assert [b.text for b in cut] == texts
    assert frequent_tokens(cut) == oracle.frequent_tokens(texts, tokenizer)
    rows = dictionary(random.Random(2))
    counts = (1, 10, 40, 100)
    found = [frequent_tokens(cut, count, outside=as_dictionary(rows)) for count in counts]
    assert found == [oracle.frequent_tokens(texts, tokenizer, count, outside=rows) for count in counts]
    assert found != [frequent_tokens(cut, count) for count in counts]


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
                ((_, pairs),), _ = rules_of(tokenizer, mine, {translation: "Nora"})
                expected = oracle.forbidden_ids(translation, tokenizer, set(frequent), forbid=rule)
                assert set(pairs) == {(token, -1) for token in expected}


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


@pytest.mark.parametrize("rule", ["frequent-excepted", "rename"])
def test_this_file_would_notice(family, rule, monkeypatch):
    """The comparison fails when rule 2 is switched off: it is not vacuous."""
    monkeypatch.setattr(Changes, "apply", lambda self, baseline: baseline)
    rows = [{"anchor": n, "translations": ["Ann", "the harbour"]} for n in ("Nora", "Quill", "Port Ansel", "Brandt")]
    with pytest.raises(AssertionError):
        compare(family, ADVERSARIAL[:3], rows, LabelSettings(alphas=(0.0,), top_k=400, forbid=rule), 4)


def test_a_branch_that_outgrows_the_context_is_said(family):
    """The anchor is longer than its translation, and stands at the end of a block that nearly fills the context."""
    tokenizer = family[0]
    source = "the lantern " + "of the lantern " * 6 + "Ansel in the harbour"
    dictionary = as_dictionary([{"anchor": "Ansel in the harbour", "translations": ["Ann"]}])
    block, rules = block_of(tokenizer, source), ForbiddenIds(tokenizer, frozenset(), "rename")
    settings = LabelSettings(block_tokens=512, forbid="rename", repeats="none", inside=True)
    (item,), _ = align([block], tokenizer, dictionary, settings, rules, context=512)
    translated = len(item.translated_encoding.ids)
    assert item.branches.longest > translated
    align([block], tokenizer, dictionary, settings, rules, context=item.branches.longest)
    with pytest.raises(ValueError, match=f"block 0 grows to {item.branches.longest} tokens"):
        align([block], tokenizer, dictionary, settings, rules, context=translated)
