"""The page beside the weights: what the hub reads out of it is what the scorecard says."""

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from hp_bench.results.model_card import model_card
from hp_bench.results.scorecard import Manifest, Scorecard, TaskManifest, measure

TASK = TaskManifest("2", 4, prompts_sha256="abc", judge="lexicon", decoding='{"max_gen_toks": 80}')


def scorecard(values) -> Scorecard:
    measured = (measure("hp_familiarity", "familiarity", values), measure("hp_familiarity", "explicit", [None, None]))
    manifest = Manifest("folder", "hf", "float32", {"hp_familiarity": TASK}, findings=["its settings are not followed"])
    return Scorecard("mine", measured, {}, {}, manifest)


def test_the_hub_reads_every_number_with_its_interval_and_how_it_was_asked(tmp_path):
    card = scorecard([5.0, 0.0, 1.0, None])
    page = model_card(card)
    assert page == model_card(card)
    (result,) = ModelCard(page).data.eval_results
    wanted = card.measurements[0]
    assert (result.metric_type, result.metric_value, result.dataset_type) == (
        "familiarity",
        wanted.value,
        "hp_familiarity",
    )
    assert result.metric_args == {"low": wanted.low, "high": wanted.high, "n": 3, "unscored": 1}
    assert result.dataset_revision == "2" and "lower is better" in result.metric_name
    assert result.dataset_args == {"prompts_sha256": "abc", "judge": "lexicon", "max_gen_toks": 80}
    assert ModelCard(page).data.model_name == "mine"
    assert "2.000 [" in page and "its settings are not followed" in page


def test_a_broken_model_is_called_broken_with_every_number():
    measured = (
        measure("hp_familiarity", "familiarity", [0.0] * 4, degenerate=4),
        measure("hp_familiarity", "degenerate", [1.0] * 4),
    )
    page = model_card(replace(scorecard([0.0]), measurements=measured))
    results = ModelCard(page).data.eval_results
    assert len(results) == 2 and all("4 of 4 completions" in result.metric_args["broken"] for result in results)
    assert "- mine is broken: 4 of 4 completions" in page


def test_nothing_scored_is_no_page():
    with pytest.raises(ValueError, match="mine has no number to be published"):
        model_card(scorecard([None, None]))
