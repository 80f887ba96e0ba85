"""Distances to the twins: against literal loops, of folders and of live models, twins among themselves."""

import numpy as np
import pytest
import tiny
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hp_bench.scoring.distances import TwinDistances, distances

TEXTS = {"target": tiny.TEXT[:6], "rest": [*tiny.TEXT[2:5], "a dog and an owl", "They live in a tower."]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    return [tiny.save(place / f"model-{seed}", seed=seed) for seed in range(4)]


def literal(twin, model, text):
    """KL(twin || model) of a text, nats a token, one token at a time in float64; and the model's loss."""
    ids = AutoTokenizer.from_pretrained(twin)(text)["input_ids"]
    p, q = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(torch.tensor([ids]))
        .logits[0]
        .detach()
        .double()
        for folder in (twin, model)
    )
    found, loss = [], []
    for place in range(len(ids) - 1):
        a, b = p[place].softmax(-1), q[place].softmax(-1)
        found.append(float((a * (a / b).log()).sum()))
        loss.append(-float(b[ids[place + 1]].log()))
    return np.mean(found), np.mean(loss)


def test_the_distance_is_the_literal_divergence_beyond_twin_to_twin(folders):
    *twins, model = folders[1:]
    found = {one.distance.text: one for one in TwinDistances(twins, TEXTS).of("model", model)}
    for kind, texts in TEXTS.items():
        each = [np.mean([literal(twin, model, text)[0] for twin in twins]) for text in texts]
        between = np.mean([literal(*pair, text)[0] for text in texts for pair in (twins, twins[::-1])])
        assert found[kind].each == pytest.approx(each, abs=1e-5)
        far = found[kind].distance
        assert (far.raw, far.between_twins) == pytest.approx((np.mean(each), between), abs=1e-5)
        assert far.value == pytest.approx(np.mean(each) - between, abs=1e-5) and far.low <= far.value <= far.high


def test_a_twin_held_against_itself_is_nearer_than_another_twin_and_against_the_other_it_is_one(folders):
    twins = folders[:2]
    held = TwinDistances(twins, TEXTS)
    for one in held.of("twin-1", twins[0]):
        assert one.distance.value == pytest.approx(-one.distance.between_twins / 2, rel=0.2) and one.distance.value < 0
    for one in held.of("twin-1", twins[0], leave_out=0):
        assert one.distance.value == pytest.approx(0, abs=one.distance.between_twins / 5)
        assert one.ks == one.ks_between_twins
    with pytest.raises(ValueError, match="twin-1 is the only twin"):
        TwinDistances(twins[:1], TEXTS).of("twin-1", twins[0], leave_out=0)
    with pytest.raises(ValueError, match="at least one twin"):
        TwinDistances([], TEXTS)


def test_without_a_second_twin_nothing_is_subtracted_and_equal_losses_are_0_apart(folders):
    (same, *_) = TwinDistances(folders[:1], TEXTS).of("same", folders[0])
    assert (
        same.distance.raw == pytest.approx(0, abs=1e-7) and same.distance.value is same.distance.between_twins is None
    )
    assert same.ks == 0 and same.ks_between_twins is None


def test_a_live_model_is_as_far_as_its_folder_and_the_function_says_the_same(folders):
    *twins, model = folders[1:]
    held = TwinDistances(twins, TEXTS)
    live = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    assert held.of("model", live) == held.of("model", model)
    plain = distances({"model": model, "other": folders[0]}, twins, TEXTS)
    assert [(one.name, one.text) for one in plain] == [(n, t) for t in TEXTS for n in ("model", "other")]
    assert [one for one in plain if one.name == "model"] == [one.distance for one in held.of("model", model)]


def test_distributions_in_memory_say_the_same_as_those_in_a_file(folders, monkeypatch):
    *twins, model = folders[1:]
    mapped = TwinDistances(twins, TEXTS).of("model", model)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    assert TwinDistances(twins, TEXTS).of("model", model) == mapped
