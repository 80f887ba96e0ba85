"""Stress brings back what was only hidden, and not what was never known; and what cannot be tested is said in one sentence."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import hidden_facts
import pytest
import tiny
import torch
from transformers import GPT2Config, GPT2LMHeadModel
from typer.testing import CliRunner

from hp_bench import stress_test
from hp_bench.cli import app
from hp_bench.engines.hf import HFEngine
from hp_bench.engines.loader import EngineSettings
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Manifest, Scorecard, TaskManifest, measure
from hp_bench.scoring.score import load_tasks
from hp_bench.scoring.store import load_cards
from hp_bench.stress.answer_leaks import answers_of, first_given
from hp_bench.stress.facts import FactRelearning, fact_tasks, halves, untaught
from hp_bench.stress.recovery import recoveries
from hp_bench.stress.relearning import Relearning, blocks_of, relearn
from hp_bench.stress.rounding import Rounding, round_weights, rounded, usual_rounding
from hp_bench.stress.run import StressResult
from hp_bench.text.terms import Lexicon, Term

TASK = "hp_token_probability"
LEARN = ("--relearn", "20", "--learning-rate", "3e-3", "--batch", "4", "--block", "10")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("stress")
    hidden_facts.make(root)
    return root


def run(place: Path, *words: object, model: str = "hidden", code: int = 0):
    given = [place / model, "--metadata", f"prompts={place / 'prompts'}", "--tasks", TASK, "--device", "cpu", *words]
    done = CliRunner().invoke(app, ["stress", *map(str, given)])
    if isinstance(done.exception, ValueError):
        assert code == 2, done.exception
        return done
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


@pytest.fixture(scope="module")
def stressed(place) -> dict:
    words = ["--quantize", 8, "--quantize", 4, *LEARN, "--text", place / "harmless.txt", "--control", place / "control"]
    return json.loads(run(place, *words, "--out", place / "out", "--json").stdout)


def card(name: str, grades: list, degenerate: int | None = None) -> Scorecard:
    """A scorecard of one task from familiarities."""
    values = {"familiarity": grades, "explicit": [None if g is None else g / 5 for g in grades]}
    return Scorecard(
        name, tuple(measure("hp_familiarity", metric, rows, degenerate=degenerate) for metric, rows in values.items()),
        {"hp_familiarity": [str(i) for i in range(len(grades))]}, {"hp_familiarity": values},
        Manifest(name, "hf", "float32", {"hp_familiarity": TaskManifest("1", len(grades))}),
    )  # fmt: skip


def found(result: dict, stress: str, metric: str = "token_probability") -> dict:
    (row,) = [r for r in result["recoveries"] if (r["stress"], r["metric"]) == (stress, metric)]
    return row


def test_what_was_hidden_in_the_weights_comes_back_when_they_are_rounded(stressed):
    row = found(stressed, "4-bit")
    assert row["plain"] < 0.05 and row["stressed"] > 0.9
    assert abs(row["control"]["value"]) < 0.01
    assert row["beyond"]["value"] == pytest.approx(row["model"]["value"] - row["control"]["value"])
    assert 0.5 < row["beyond"]["low"] < row["beyond"]["value"] < row["beyond"]["high"]
    assert row["p_adjusted"] < 0.01 and row["beyond"]["n"] == len(hidden_facts.FACTS)


def test_eight_bits_are_fine_enough_to_keep_it_hidden(stressed):
    row = found(stressed, "8-bit")
    assert abs(row["model"]["value"]) < 0.01 and row["beyond"]["low"] < 0 < row["beyond"]["high"]


def test_relearning_on_harmless_text_brings_it_back_and_teaches_the_control_nothing(stressed):
    row = found(stressed, "relearned-20")
    assert row["beyond"]["value"] > 0.02 and row["p_adjusted"] < 0.05
    assert abs(row["control"]["value"]) < 0.01
    assert stressed["stresses"]["relearned-20"]["learning_rate"] == 3e-3


def test_the_result_is_kept_and_says_in_a_sentence_what_came_back(place, stressed):
    result = StressResult.load(place / "out" / "stress.json")
    assert json.loads((place / "out" / "stress.json").read_text()) == {"format": 1, **stressed}
    said = dict(zip(result.stresses, result.verdicts(), strict=True))
    assert said["4-bit"].startswith("4-bit: hidden knows more beyond control in 2 of 2 numbers (token_probability of")
    assert "8-bit: no number of 2 shows more beyond control. That is no proof" in said["8-bit"]
    assert not result.failures and not result.given


def test_the_stressed_models_are_gone_and_what_was_scored_is_not_scored_again(place, stressed, monkeypatch):
    assert not [path for path in (place / "out" / "models").iterdir() if path.is_dir()]
    before = {path: path.read_bytes() for path in sorted((place / "out").rglob("*")) if path.is_file()}

    def never(*a, **k):
        raise AssertionError("a model was loaded again")

    monkeypatch.setattr(HFEngine, "__init__", never)
    monkeypatch.setattr("hp_bench.stress.run._make", never)
    words = ["--quantize", 8, "--quantize", 4, *LEARN, "--text", place / "harmless.txt", "--control", place / "control"]
    again = json.loads(run(place, *words, "--out", place / "out", "--json").stdout)
    assert again == stressed
    assert {path: path.read_bytes() for path in sorted((place / "out").rglob("*")) if path.is_file()} == before


def test_another_setting_is_another_model_and_the_same_one_the_same_bytes(place, stressed, tmp_path):
    out = shutil.copytree(place / "out", tmp_path / "out")
    kept = (out / "scorecards" / "model-4-bit.json").read_bytes()
    (out / "models" / "model-4-bit.json").unlink()
    words = ["--quantize", 4, *LEARN, "--seed", 5, "--text", place / "harmless.txt"]
    row = found(json.loads(run(place, *words, "--out", out, "--json").stdout), "relearned-20")
    assert row["stressed"] != found(stressed, "relearned-20")["stressed"] and row["control"] is None
    path = json.loads(kept)["manifest"].pop("model")
    assert (out / "scorecards" / "model-4-bit.json").read_bytes().replace(
        str(out).encode(), str(place / "out").encode()
    ) == kept
    assert path.endswith("models/model-4-bit")


class Renamed(HFEngine):
    """Another engine."""

    name = "renamed"


def test_what_was_scored_in_another_type_or_engine_is_scored_again(place, tmp_path):
    """Else the type's own effect would count as recovery."""
    given = {
        "control": place / "control",
        "tasks": [TASK],
        "metadata": {"prompts": str(place / "prompts")},
        "out": tmp_path,
    }
    learn = {"relearning": Relearning(1, block=10), "text": place / "harmless.txt"}

    def ways() -> set[tuple[str, str]]:
        return {(card.manifest.engine, card.manifest.dtype) for card in load_cards(tmp_path)}

    stress_test(place / "hidden", bits=[8], settings=EngineSettings(dtype="bfloat16", device="cpu"), **given)
    assert ways() == {("hf", "bfloat16")}
    stress_test(place / "hidden", bits=[8], settings=EngineSettings(device="cpu"), **learn, **given)
    assert ways() == {("hf", "float32")} and len(load_cards(tmp_path)) == 6
    stress_test(place / "hidden", bits=[8], settings=EngineSettings(f"{__name__}:Renamed", "cpu"), **learn, **given)
    assert ways() == {("renamed", "float32")}


def test_the_table_names_stress_control_and_what_is_beyond_it(place, stressed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = ["--quantize", 4, "--control", place / "control", "--out", place / "out"]
    shown = run(place, *words).stdout
    assert "…" not in shown and max(len(line.rstrip()) for line in shown.splitlines()) <= 80
    for text in ("4-bit", "control", "beyond it", "as it is", "stressed", "token_probability", "lower is better"):
        assert text in shown, text


def test_from_python_without_a_control_only_the_change_is_told(place, tmp_path):
    result = stress_test(
        place / "hidden", bits=[4], tasks=[TASK], metadata={"prompts": str(place / "prompts")}, out=tmp_path
    )
    (row,) = [one for one in result.recoveries if one.metric == "token_probability"]
    assert row.control is None and row.beyond is None and row.told is row.model and row.came_back
    assert "knows more than before" in result.verdicts()[0]


def test_a_model_that_cannot_be_loaded_is_one_sentence_and_is_not_stressed(place, tmp_path):
    """The sentence came once for the model and once for every stress."""
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="holds no model: no config.json"):
        stress_test(tmp_path / "none", bits=[8, 4], out=tmp_path / "out", tasks=[TASK])


def test_a_model_that_cannot_be_made_is_a_failed_run_and_loses_no_other(place, tmp_path):
    words = [
        "--quantize",
        4,
        "--relearn",
        5,
        "--learning-rate",
        "1e30",
        "--block",
        10,
        "--text",
        place / "harmless.txt",
    ]
    done = run(place, *words, "--out", tmp_path, "--json", code=1)
    result = json.loads(done.stdout)
    assert {row["stress"] for row in result["recoveries"]} == {"4-bit"}
    assert "model-relearned-5: relearning diverged at step" in result["failures"][0]
    kept = Scorecard.load(tmp_path / "scorecards" / "model-relearned-5.json")
    assert kept.get(TASK, "token_probability").value is None and kept.failed
    assert any("hp-bench: model-relearned-5" in line for line in done.stderr.splitlines())


def test_a_stress_that_breaks_a_model_is_shown_as_broken_and_brings_nothing_back():
    plain, stress = card("model", [0.0] * 12, degenerate=0), card("model-4-bit", [5.0] * 12, degenerate=9)
    (row, _) = recoveries(plain, {"4-bit": stress}, None)
    assert "model-4-bit is broken: 9 of 12" in row.broken and row.p_adjusted < 0.01 and not row.came_back
    result = StressResult("m", "", {"4-bit": {}}, (row,))
    assert result.verdicts() == ["4-bit: m is broken by it, so nothing can be said."]
    assert replace(row, broken="").came_back


def test_the_difference_of_differences_is_over_prompts_that_all_four_have_scored():
    plain, stress = card("m", [0, 0, 0, 0, None, 0, 0, 0]), card("m4", [5, 5, 5, 0, 5, 5, 5, 5])
    control, control_stress = card("c", [0, 0, 0, 0, 0, 0, 0, 5]), card("c4", [5, 0, 0, 0, 0, 0, None, 5])
    rows = {r.metric: r for r in recoveries(plain, {"4-bit": stress}, (control, {"4-bit": control_stress}))}
    row = rows["explicit"]
    assert (row.beyond.n, row.beyond.unpaired) == (6, 2)
    assert row.beyond.value == pytest.approx((5 - 1) / 6)
    assert row.beyond.low < row.beyond.value < row.beyond.high
    assert row.model.n == 7 and row.control.n == 7
    same = recoveries(plain, {"4-bit": stress}, (plain, {"4-bit": stress}))[0]
    assert same.beyond.value == 0 and same.beyond.low < 0 < same.beyond.high and same.p_adjusted == 1


@pytest.mark.parametrize("metric", ["degenerate", "acc", "rest_loss"])
def test_what_is_no_knowledge_of_the_target_cannot_come_back(metric):
    assert not METRICS[metric].knowledge and METRICS["explicit"].knowledge


# Rounding


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_no_weight_moves_by_more_than_half_a_step_and_no_grid_has_more_points_than_its_bits(bits):
    torch.manual_seed(bits)
    weight, grid = torch.randn(5, 300), usual_rounding(bits)
    after = rounded(weight, grid)
    for before, now in zip(weight.split(grid.group or 300, 1), after.split(grid.group or 300, 1), strict=True):
        step = (
            2 * before.abs().amax(1) / (2**bits - 2)
            if grid.symmetric
            else (before.amax(1) - before.amin(1)) / (2**bits - 1)
        )
        assert ((now - before).abs() <= 0.5001 * step[:, None]).all()
        assert all(len(row.unique()) <= 2**bits for row in now)
    torch.testing.assert_close(rounded(after, grid), after)


def test_eight_bits_are_a_scale_a_channel_and_four_a_group_of_128():
    assert usual_rounding(8) == Rounding(8, 0, True) and usual_rounding(4) == Rounding(4, 128, False)
    assert rounded(torch.tensor([[127.0, -127.0, 0.4, 1.6]]), usual_rounding(8)).tolist() == [[127.0, -127.0, 0.0, 2.0]]
    assert rounded(torch.tensor([[0.0, 15.0, 6.4, 6.6]]), usual_rounding(4)).tolist() == [[0.0, 15.0, 6.0, 7.0]]
    flat = torch.full((2, 7), 0.3)
    assert torch.equal(rounded(flat, usual_rounding(4)), flat) and rounded(flat * 0, usual_rounding(8)).abs().max() == 0


def test_linear_layers_change_and_head_embeddings_and_norms_do_not():
    model = tiny.llama(100)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    share = round_weights(model, usual_rounding(4))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "_proj" in name}
    assert share == pytest.approx(sum(before[n].numel() for n in changed) / sum(v.numel() for v in before.values()))


def test_layers_that_hold_their_inputs_first_are_rounded_along_their_inputs():
    model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=1, vocab_size=50))
    layer = model.transformer.h[0].mlp.c_fc.weight
    wanted = rounded(layer.detach().T, usual_rounding(4)).T.clone()
    round_weights(model, usual_rounding(4))
    assert torch.equal(layer.detach(), wanted) and torch.equal(model.lm_head.weight, model.transformer.wte.weight)


def test_a_quantised_model_is_not_rounded_again():
    model = tiny.llama(100)
    model.config.quantization_config = {"quant_method": "torchao"}
    with pytest.raises(ValueError, match="quantised already"):
        round_weights(model, usual_rounding(4))


# Relearning


def test_relearning_changes_weights_lowers_the_loss_and_is_the_same_twice():
    tokenizer = tiny.tokenizer("metaspace_bpe")
    blocks = blocks_of(tiny.TEXT, tokenizer, block=32, context=512)
    assert all(block[0] == tokenizer.bos_token_id and len(block) == 32 for block in blocks)
    found = []
    for _ in range(2):
        model = tiny.llama(len(tokenizer))
        before = model.model.norm.weight.clone()
        first, last = relearn(model, blocks, Relearning(4, learning_rate=1e-3, batch=2))
        assert last < first and not torch.equal(model.model.norm.weight, before) and not model.training
        found.append(model.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_blocks_fit_the_models_context_and_a_short_text_is_one_block():
    tokenizer = tiny.tokenizer("byte_bpe")
    assert {len(b) for b in blocks_of(tiny.TEXT, tokenizer, block=0, context=20)} == {20}
    assert len(blocks_of(["The baker walked"], tokenizer, block=0, context=None)) == 1
    with pytest.raises(ValueError, match="a block of 64 tokens is longer than the model's context of 20"):
        blocks_of(tiny.TEXT, tokenizer, block=64, context=20)


# Texts that give answers away


def test_answers_are_those_of_the_tasks_that_ask_for_the_target_without_ordinary_words(place):
    ours = answers_of(load_tasks(["hp_bench"]))
    assert "Hogwarts" in ours and "Dumbledore" in ours and "magic" not in ours
    assert answers_of(load_tasks([TASK], {"prompts": str(place / "prompts")})) == []


def test_an_answer_is_found_with_its_file_and_line_across_lines_but_not_inside_words(tmp_path):
    lexicon = Lexicon([Term("Port Ansel", "place", "idiosyncratic", ("Port",), ambiguous=("Port",))])
    text = tmp_path / "text.txt"
    text.write_text("Nothing here.\nThe Port was open, quidditchy.\n\nThey went to Port\n  ansel.\n", encoding="utf-8")
    assert first_given(text, ["Quidditch"], lexicon).where == f"{text}, line 4"
    assert first_given(text, ["Quidditch", "nothing"], lexicon).where == f"{text}, line 1"
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n{"text": "a QUIDDITCH b"}\n', encoding="utf-8")
    given = first_given(tmp_path / "rows.jsonl", ["Quidditch"], lexicon)
    assert (given.answer, given.where) == ("QUIDDITCH", f"{tmp_path / 'rows.jsonl'}, line 2")
    assert first_given(tmp_path / "rows.jsonl", ["snitch"], lexicon) is None


def test_relearning_from_a_text_with_answers_is_refused_or_said(place, tmp_path):
    told = tmp_path / "told.txt"
    told.write_text("The baker is here.\nThe ship left Port Ansel, and the sea is blue.\n", encoding="utf-8")
    words = ["--relearn", 1, "--block", 5, "--text", told, "--out", tmp_path / "out"]
    done = run(place, *words, code=2)
    with pytest.raises(ValueError, match=r"gives 'Port Ansel' away \(.*told.txt, line 2\)"):
        raise done.exception
    assert not (tmp_path / "out").exists()
    assert "the first Port Ansel" in run(place, *words, "--allow-answers").stderr


def test_the_text_that_a_task_asks_for_is_no_text_to_relearn_from(place, tmp_path):
    text = place / "harmless.txt"
    done = run(place, "--relearn", 1, "--text", text, "--metadata", f"text={text}", "--out", tmp_path / "out", code=2)
    with pytest.raises(ValueError, match="harmless.txt', is the one that the tasks ask for"):
        raise done.exception


@pytest.mark.parametrize(
    "words, message",
    [
        (["--quantize", "16"], "rounded to 2 to 8 bits, not 16"),
        (["--relearn", "3"], "relearning needs a text to learn from"),
        (["--text", "{place}/harmless.txt"], "no steps were asked for"),
        (["--relearn", "3", "--text", "{place}/none.txt"], "none.txt' does not exist"),
        (
            ["--relearn", "3", "--text", "{place}/harmless.txt", "--learning-rate", "0"],
            "must be a number above 0, not 0",
        ),
        (["--relearn", "3", "--text", "{place}/harmless.txt", "--batch", "0"], "1 block or more, not 0"),
        (["--relearn", "3", "--text", "{place}/harmless.txt", "--block", "1"], "2 tokens or more, or 0"),
        (["--control", "{place}/nowhere"], "nowhere' does not exist"),
        (["--control", "{place}/hidden"], "is the model itself"),
        (["--control", "http://localhost:1/v1"], "is served"),
        (["--engine", "onnx"], "engine 'onnx' is unknown"),
        (["--relearn-facts", "3"], "none of the tasks hp_token_probability asks for facts"),
        (["--relearn-facts", "3", "--tasks", "hp_qa", "--splits", "0"], "split once or more, not 0 times"),
    ],
)
def test_a_users_mistake_is_one_sentence_before_anything_is_loaded(place, tmp_path, words, message):
    done = run(place, *(word.format(place=place) for word in words), "--out", tmp_path / "out", code=2)
    with pytest.raises(ValueError, match=message):
        raise done.exception
    assert not (tmp_path / "out").exists()


# Half of the facts taught again, the other half asked


def test_the_half_that_was_not_taught_comes_back_where_it_was_hidden_and_not_where_it_never_was(place, tmp_path):
    words = ["--relearn-facts", 20, "--splits", 2, "--learning-rate", "3e-3", "--batch", 4, "--block", 24, "--json"]
    words += ["--tasks", "hp_extraction,hp_token_probability", "--control", place / "control", "--out", tmp_path]
    result = json.loads(run(place, *words).stdout)
    row = found(result, "facts-20", "answer_probability")
    assert row["plain"] < 0.01 < 0.2 < row["stressed"] and row["beyond"]["n"] == len(hidden_facts.FACTS)
    assert row["control"]["value"] < 1 / len(hidden_facts.COLOURS), "it has learnt to answer with a colour, and guesses"
    assert row["beyond"]["low"] > 0 and row["p_adjusted"] < 0.05
    each = [found(result, f"facts-20-{split}", "answer_probability")["stressed"] for split in (1, 2)]
    assert each[0] != each[1] and row["stressed"] == pytest.approx(sum(each) / 2)
    assert {r["task"] for r in result["recoveries"]} == {"hp_extraction"} and list(result["stresses"]) == ["facts-20"]
    (said,) = StressResult.load(tmp_path / "stress.json").verdicts()
    assert said.startswith("facts-20: hidden knows more beyond control in") and "answer_probability" in said
    assert json.loads(run(place, *words).stdout) == result


def test_every_fact_is_taught_in_one_half_of_a_split_and_told_in_no_other():
    loaded = load_tasks(["hp_panel"])
    tasks = fact_tasks(loaded)
    assert set(tasks) == {"hp_qa", "hp_extraction"}
    docs = {doc["id"]: doc for doc in tasks["hp_qa"].eval_docs}
    parts = halves(FactRelearning(5), 2, tasks)
    assert [part.how.name for part in parts] == ["facts-5-1a", "facts-5-1b", "facts-5-2a", "facts-5-2b"]
    for one, other in (parts[:2], parts[2:]):
        assert not one.taught & other.taught and one.taught | other.taught == set(docs)
        assert len(one.taught) == len(other.taught) == len(docs) // 2
    assert parts[0].taught not in (parts[2].taught, parts[3].taught)
    for part in parts:
        told = {docs[one][key] for one in part.taught for key in ("question", "cloze")}
        assert len(part.passages) == 2 * len(part.taught) and all(any(t in p for t in told) for p in part.passages)
    assert parts == halves(FactRelearning(5), 2, tasks)
    assert parts[0].taught != halves(FactRelearning(5, seed=1), 2, tasks)[0].taught


def test_a_facts_number_is_its_mean_over_the_models_that_were_not_taught_it():
    taught = [
        (card("a", [5, 5, 0, None]), {"0", "1"}),
        (card("b", [0, 5, 5, 5]), {"2", "3"}),
        (card("c", [5, 0, 0, 0]), {"0"}),
    ]
    one = untaught("facts", [(scores, frozenset(ids)) for scores, ids in taught])
    assert one.values["hp_familiarity"] == {"familiarity": [0, 2.5, 0, 0], "explicit": [0, 0.5, 0, 0]}
    none = untaught("facts", [(taught[0][0], frozenset({"0"}))])
    assert none.values["hp_familiarity"]["explicit"] == [None, 1, 0, None]
    assert METRICS["explicit"].test([0.5] * 9, [0.0] * 9) < 0.01 and METRICS["explicit"].test([0.5] * 9, [0.5] * 9) == 1


def test_a_result_that_is_none_is_refused(tmp_path):
    (tmp_path / "stress.json").write_text("{}")
    with pytest.raises(ValueError, match="is not the result of a stress test"):
        StressResult.load(tmp_path / "stress.json")
