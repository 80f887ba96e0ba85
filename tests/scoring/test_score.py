"""`hp-bench score` and `hp_bench.score`: a scorecard a model, paired with the baseline, resumed where it stopped; one failure loses no other."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import small_prompts
import tiny
import torch
from served_model import Server, serving
from typer.testing import CliRunner

from hp_bench import Scorecard, score
from hp_bench.cli import app
from hp_bench.engines.endpoint import EndpointEngine
from hp_bench.engines.fingerprint import fingerprint
from hp_bench.engines.hf import HFEngine
from hp_bench.engines.loader import EngineSettings, Loader, OneEngine
from hp_bench.results.compare import broken, incomparable
from hp_bench.scoring.checkpoints import Checkpoint
from hp_bench.scoring.doctor import fitness
from hp_bench.scoring.models import score_checkpoints
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.scoring.store import load_cards, load_samples

TASKS = "hp_familiarity,hp_token_probability"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("score")
    tiny.save(root / "base")
    tiny.save(root / "a" / "model", seed=1)
    tiny.save(root / "b" / "model", seed=2)
    small_prompts.write(root / "prompts")
    with pytest.MonkeyPatch.context() as patch:
        small_prompts.shorten(patch)
        yield root


def run(*words: object, code: int = 0):
    done = CliRunner().invoke(app, ["score", *map(str, words), "--device", "cpu"])
    if isinstance(done.exception, ValueError):
        assert code == 2, done.exception
        return done
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


def words_of(place: Path) -> list:
    """Two models against a baseline."""
    return [
        place / "a/model",
        place / "b/model",
        "--baseline",
        place / "base",
        "--metadata",
        f"prompts={place / 'prompts'}",
    ]


@pytest.fixture(scope="module")
def scored(place) -> dict:
    return json.loads(run(*words_of(place), "--out", place / "out", "--json").stdout)


def test_every_model_has_a_scorecard_and_a_paired_difference_from_the_baseline(place, scored):
    assert [card["name"] for card in scored["scorecards"]] == ["baseline", "a-model", "b-model"]
    for card in scored["scorecards"]:
        assert {m["metric"] for m in card["measurements"]} >= {"familiarity", "explicit", "token_probability"}
        assert all({"value", "low", "high", "n", "unscored", "degenerate"} <= set(m) for m in card["measurements"])
        assert card["manifest"]["fingerprint"] and card["manifest"]["tasks"]["hp_familiarity"]["judge"]
    assert {one["name"] for one in scored["differences"]} == {"a-model", "b-model"}
    one = next(
        o for o in scored["differences"] if o["name"] == "a-model" and o["difference"]["metric"] == "token_probability"
    )
    values = {
        card["name"]: next(m["value"] for m in card["measurements"] if m["metric"] == "token_probability")
        for card in scored["scorecards"]
    }
    assert one["difference"]["value"] == pytest.approx(values["a-model"] - values["baseline"])
    assert one["difference"]["low"] < one["difference"]["value"] < one["difference"]["high"]
    assert 0 < one["difference"]["p"] <= one["p_adjusted"] <= 1


def test_python_gives_what_the_command_line_gives(place, scored):
    card = score(place / "a/model", metadata={"prompts": str(place / "prompts")}, device="cpu")
    kept = Scorecard.load(place / "out/scorecards/a-model.json")
    assert (card.measurements, card.values, card.items, card.manifest.tasks) == (
        kept.measurements,
        kept.values,
        kept.items,
        kept.manifest.tasks,
    )
    assert card.manifest.fingerprint == kept.manifest.fingerprint


def test_python_and_the_command_line_share_what_is_kept(place, scored, monkeypatch):
    given = {"metadata": {"prompts": str(place / "prompts")}, "device": "cpu", "out": place / "out"}
    with monkeypatch.context() as patch:
        patch.setattr(HFEngine, "__init__", lambda *_, **__: pytest.fail("a model was loaded"))
        card = score(place / "a/model", name="a-model", **given)
    assert card == Scorecard.load(place / "out/scorecards/a-model.json")
    with pytest.raises(ValueError, match="holds a scorecard 'a-model' of another model"):
        score(place / "base", name="a-model", **given)


def test_a_baseline_that_was_scored_on_other_threads_is_said(place, scored, tmp_path):
    out = shutil.copytree(place / "out", tmp_path / "out")
    assert "conditions" not in run(*words_of(place), "--out", out).stderr
    baseline = Scorecard.load(out / "scorecards/baseline.json")
    elsewhere = replace(baseline.manifest, device="cpu, threads: 64")
    replace(baseline, manifest=elsewhere).save(out / "scorecards/baseline.json")
    said = run(*words_of(place), "--out", out).stderr.splitlines()
    assert said.count("not quite the same conditions: device cpu, threads: 64 against cpu, threads: 1") == 1


def test_samples_are_kept_beside(place, scored):
    rows = load_samples(place / "out", "a-model", "hp_familiarity")
    assert [row["prompt"] for row in rows] == [prompt for prompt, _ in small_prompts.STORY]
    assert all(row["responses"][0] and row["verdict"]["grade"] == "none" for row in rows)


def test_the_table_has_every_number(place, scored, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = " ".join(run(*words_of(place), "--out", place / "out").output.split())
    for word in (
        "familiarity",
        "token_probability_share",
        "completions are degenerate (loops or noise)",
        "compared with baseline",
        "4 prompts",
    ):
        assert word in shown


def test_a_quick_score_has_a_card_of_its_own_and_is_not_compared_with_a_full_one(place, scored, monkeypatch):
    monkeypatch.setattr("hp_bench.probes.rows.QUICK", 3)
    given = ("--metadata", f"prompts={place / 'prompts'}", "--out", place / "out")
    full = (place / "out/scorecards/a-model.json").read_bytes()
    done = run(place / "a/model", "--quick", *given)
    assert "quick: 3 of 4 prompts. A first look: not compared with other scores." in done.stderr
    assert (place / "out/scorecards/a-model.json").read_bytes() == full
    quick, whole = (Scorecard.load(place / f"out/scorecards/{name}.json") for name in ("model-quick", "a-model"))
    assert (
        quick.get("hp_familiarity", "familiarity").n == 3
        and quick.get("hp_token_probability", "token_probability").n == 3
    )
    assert set(quick.items["hp_familiarity"]) < set(whole.items["hp_familiarity"])
    assert "quick: 3 of 4 prompts" in "; ".join(incomparable(quick, whole))
    both = json.loads(run(place / "a/model", "--baseline", place / "base", "--quick", "--json", *given).stdout)
    assert [card["name"] for card in both["scorecards"]] == ["baseline-quick", "model-quick"]
    assert {one["difference"]["n"] for one in both["differences"] if one["difference"]["metric"] == "familiarity"} == {
        3
    }


def test_quick_is_for_the_familiarity_tests_alone(place, tmp_path):
    done = run(place / "base", "--quick", "--tasks", "hp_familiarity,hp_qa", "--out", tmp_path, code=2)
    assert "--quick is for hp_familiarity" in str(done.exception) and "'hp_qa'" in str(done.exception)
    assert "leave out --quick" in str(run(place / "base", "--quick", "--card", code=2).exception)


class Counting(HFEngine):
    """Counts the tasks asked; may die in one of them."""

    asked = 0
    dies_in = ""

    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        for name in ("generate_until", "loglikelihood"):
            setattr(self.lm, name, self._counted(name, getattr(self.lm, name)))

    def _counted(self, name, method):
        def call(*a, **k):
            if Counting.dies_in == name:
                raise KeyboardInterrupt
            Counting.asked += 1
            return method(*a, **k)

        return call


def test_an_interrupted_run_goes_on_with_the_task_it_stopped_in(place, tmp_path, monkeypatch):
    loaded = load_tasks(TASKS.split(","), {"prompts": str(place / "prompts")})
    points = [Checkpoint("a", str(place / "a/model"))]
    monkeypatch.setattr(Counting, "dies_in", "loglikelihood")
    with pytest.raises(KeyboardInterrupt):
        score_checkpoints(OneEngine(Counting(place / "a/model", device="cpu")), loaded, points, out=tmp_path)
    assert load_cards(tmp_path) == []
    monkeypatch.setattr(Counting, "dies_in", "")
    monkeypatch.setattr(Counting, "asked", 0)
    (resumed,) = score_checkpoints(OneEngine(Counting(place / "a/model", device="cpu")), loaded, points, out=tmp_path)
    assert Counting.asked == 1
    whole = score_engine(HFEngine(place / "a/model", device="cpu"), loaded, name="a").card
    assert (resumed.card.measurements, resumed.card.values) == (whole.measurements, whole.values)
    assert sorted(path.name for path in (tmp_path / "scorecards").iterdir()) == ["a.json"]
    monkeypatch.setattr(Counting, "asked", 0)
    score_checkpoints(OneEngine(Counting(place / "a/model", device="cpu")), loaded, points, out=tmp_path)
    assert Counting.asked == 0


def test_what_was_scored_is_not_taken_for_other_weights_or_other_prompts(place, tmp_path, monkeypatch, caplog):
    model = shutil.copytree(place / "a/model", tmp_path / "m")
    points, out = [Checkpoint("m", str(model))], tmp_path / "out"
    loaded = load_tasks(["hp_token_probability"], {"prompts": str(place / "prompts")})
    score_checkpoints(OneEngine(Counting(model, device="cpu")), loaded, points, out=out)
    monkeypatch.setattr(Counting, "asked", 0)
    changed = small_prompts.write(tmp_path / "prompts")
    path = tmp_path / "prompts" / "token_probability.jsonl"
    path.write_text(path.read_text().replace("chess", "cards"))
    assert "which is replaced" not in caplog.text
    score_checkpoints(
        OneEngine(Counting(model, device="cpu")), load_tasks(["hp_token_probability"], changed), points, out=out
    )
    assert Counting.asked == 1
    said = [one for one in caplog.messages if "which is replaced" in one]  # an hour's score went without a word
    assert said == [
        f"m: {str(out)!r} holds a score of hp_token_probability with other prompts, or another judge or version, which is replaced"
    ]
    shutil.copytree(place / "b/model", model, dirs_exist_ok=True)
    score_checkpoints(
        OneEngine(Counting(model, device="cpu")), load_tasks(["hp_token_probability"], changed), points, out=out
    )
    assert Counting.asked == 2


class Other(Counting):
    """Another engine."""

    name = "other"


def test_tasks_that_are_scored_later_join_the_scorecard_of_the_same_weights(place, tmp_path, monkeypatch, caplog):
    """The second command replaced the scorecard of the first."""
    model = shutil.copytree(place / "a/model", tmp_path / "m")
    metadata = {"prompts": str(place / "prompts")}

    def scored(*tasks: str) -> Scorecard:
        with Loader(EngineSettings(device="cpu")) as loader:
            score_checkpoints(loader, load_tasks(tasks, metadata), [Checkpoint("m", str(model))], out=tmp_path)
        (card,) = load_cards(tmp_path)
        return card

    familiarity, probability = TASKS.split(",")
    both, first = score(model, tasks=TASKS.split(","), metadata=metadata, device="cpu"), scored(familiarity)
    assert list(first.values) == [familiarity]
    second = scored(probability)
    assert (second.values, second.items, second.manifest) == (both.values, both.items, both.manifest)
    assert second.measurements == both.measurements and not caplog.records
    assert scored(familiarity) == second  # which asks nothing
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(b"")
    assert (
        list(scored(probability).values) == [probability] and "which is gone: hp_familiarity" in caplog.text
    )  # other weights: a failure
    (model / "model.safetensors").write_bytes(weights)
    scored(familiarity)
    monkeypatch.setattr(HFEngine, "__init__", lambda *_, **__: (_ for _ in ()).throw(ValueError("no memory")))
    after = scored(probability)
    assert after.values[familiarity] == both.values[familiarity] and after.failures == {probability: "no memory"}


def test_what_was_scored_is_not_taken_for_another_type_or_engine(place, tmp_path, monkeypatch):
    model = str(place / "a/model")
    loaded = load_tasks(["hp_token_probability"], {"prompts": str(place / "prompts")})

    def asked(dtype: str, kind: str = "Counting", *, loads: bool) -> tuple[int, Scorecard]:
        settings = EngineSettings(engine=f"{__name__}:{kind}", dtype=dtype, device="cpu")
        with monkeypatch.context() as patch, Loader(settings, [model]) as loader:
            patch.setattr(Counting, "asked", 0)
            if not loads:
                patch.setattr(HFEngine, "__init__", lambda *_, **__: pytest.fail("a model was loaded"))
            (scored,) = score_checkpoints(loader, loaded, [Checkpoint("m", model)], out=tmp_path)
            assert load_cards(tmp_path) == [scored.card]
            return Counting.asked, scored.card

    count, narrow = asked("bfloat16", loads=True)
    assert (count, narrow.manifest.dtype) == (1, "bfloat16")
    count, wide = asked("float32", loads=True)
    assert (count, wide.manifest.dtype) == (1, "float32") and wide.values != narrow.values
    assert wide.manifest.device == f"cpu, threads: {torch.get_num_threads()}"
    assert asked("auto", loads=False) == asked("float32", loads=False) == (0, wide)
    monkeypatch.setattr("hp_bench.engines.loader.stored_dtype", lambda _: "")  # only the loaded model can tell
    assert asked("auto", loads=True) == (0, wide)
    count, other = asked("float32", "Other", loads=True)
    assert (count, other.manifest.engine, other.values) == (1, "other", wide.values)
    assert asked("float32", "Other", loads=False) == (0, other)


def test_a_part_that_was_scored_in_another_type_is_not_gone_on_with(place, tmp_path, monkeypatch):
    loaded = load_tasks(TASKS.split(","), {"prompts": str(place / "prompts")})
    points = [Checkpoint("a", str(place / "a/model"))]
    narrow = Counting(place / "a/model", device="cpu", dtype="bfloat16")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Counting, "dies_in", "loglikelihood")
        score_checkpoints(OneEngine(narrow), loaded, points, out=tmp_path)
    monkeypatch.setattr(Counting, "asked", 0)
    score_checkpoints(OneEngine(Counting(place / "a/model", device="cpu")), loaded, points, out=tmp_path)
    assert Counting.asked == 2


def test_another_models_scorecard_of_the_same_name_is_not_replaced(place, tmp_path):
    a, b = (shutil.copytree(place / name / "model", tmp_path / name / "checkpoint-20") for name in "ab")
    words = ["--tasks", "hp_token_probability", "--metadata", f"prompts={place / 'prompts'}", "--out", tmp_path / "out"]
    run(a, *words)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json*")}
    done = run(b, *words, code=2)
    with pytest.raises(
        ValueError, match="'checkpoint-20' of another model, '.*/a/checkpoint-20', .* '.*/b/checkpoint-20'"
    ):
        raise done.exception
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json*")} == before
    moved = a.rename(tmp_path / "checkpoint-20")
    run(moved, *words)  # the same weights
    shutil.copytree(b, shutil.copytree(moved, a), dirs_exist_ok=True)
    run(a, *words)  # trained anew at the same place
    (card,) = load_cards(tmp_path / "out")
    assert card.manifest.model == str(a) and card.manifest.fingerprint == fingerprint(str(b))


def test_a_model_that_fails_does_not_lose_the_others(place, tmp_path):
    cut = shutil.copytree(place / "a/model", tmp_path / "cut")
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    words = [
        cut,
        place / "b/model",
        "no-such-organisation/no-such-model",
        "--metadata",
        f"prompts={place / 'prompts'}",
        "--tasks",
        "hp_token_probability",
    ]
    done = run(*words, "--out", tmp_path / "out", "--json", code=1)
    cards = {card["name"]: card for card in json.loads(done.stdout)["scorecards"]}
    assert cards["model"]["failures"] == {}
    assert cards["model"]["measurements"][0]["n"] == len(small_prompts.WORDS)
    for name in ("cut", "no-such-model"):
        assert [m["value"] for m in cards[name]["measurements"]] == [None] * 2
        assert {m["unscored"] for m in cards[name]["measurements"]} == {len(small_prompts.WORDS)}
    said = [line for line in done.stderr.splitlines() if line.startswith("hp-bench:")]
    assert len(said) == 2
    assert "cut: weight file model.safetensors of" in said[0] and "cut short or broken" in said[0]
    assert "no-such-model: " in said[1] and "no-such-organisation/no-such-model" in said[1]


@pytest.mark.parametrize(
    "words, message",
    [
        (["{place}/nowhere"], "model folder .*nowhere' does not exist"),
        (["{place}/base", "--baseline", "{place}/none"], "model folder .*none' does not exist"),
        (
            ["{place}/prompts/familiarity.jsonl"],
            "model .*familiarity.jsonl.* is a file; a model is a folder, or for weights the folder that holds them",
        ),
        (
            ["{place}/base", "--engine", "onnx"],
            "engine 'onnx' is unknown .*allowed: hf, vllm, endpoint|engine 'onnx' is unknown; allowed",
        ),
        (["{place}/base", "--metadata", "prompts"], "--metadata 'prompts' is not key=value"),
        (["{place}/base", "--batch-size", "-1"], "batch size must be 1 or more"),
    ],
)
def test_a_users_mistake_is_one_sentence_before_anything_is_loaded(place, tmp_path, words, message):
    done = run(*(word.format(place=place) for word in words), "--out", tmp_path / "out", code=2)
    with pytest.raises(ValueError, match=message):
        raise done.exception
    assert not (tmp_path / "out").exists()


def test_a_score_that_could_not_begin_says_why_and_no_more_and_does_not_stand_in_the_way_of_the_next(place, tmp_path):
    """It printed a table of failures, and the card that it left refused the same command with the model's right place."""
    wrong = tmp_path / "wrong" / "base"
    shutil.copytree(place / "base", wrong)
    (wrong / "model.safetensors").write_bytes(b"")
    words = ["--tasks", "hp_token_probability", "--metadata", f"prompts={place / 'prompts'}", "--out", tmp_path / "out"]
    done = run(wrong, *words, code=1)
    (said,) = filter(None, done.stderr.splitlines())
    assert not done.stdout and said.startswith("hp-bench: base: weight file") and said.endswith("cut short or broken")
    assert Scorecard.load(tmp_path / "out/scorecards/base.json").failures
    run(place / "base", *words)
    assert not Scorecard.load(tmp_path / "out/scorecards/base.json").failures


@pytest.fixture
def served(place, monkeypatch):
    folder = (
        tiny.save(place / "metaspace", "metaspace_bpe") if not (place / "metaspace").exists() else place / "metaspace"
    )
    with serving(folder, monkeypatch) as address:
        yield address


def test_a_served_model_has_the_numbers_of_the_model_it_serves(place, served, tmp_path):
    """A tokenizer that adds BOS: lm-eval's client alone would leave it out."""
    words = ["--metadata", f"prompts={place / 'prompts'}", "--out", tmp_path / "out", "--json"]
    (card,) = json.loads(run_auto(served, *words).stdout)["scorecards"]
    own = score(place / "metaspace", metadata={"prompts": str(place / "prompts")}, device="cpu")
    assert (card["name"], card["manifest"]["engine"], card["manifest"]["fingerprint"]) == ("v1", "endpoint", "")
    found = Scorecard.load(tmp_path / "out/scorecards/v1.json")
    assert found.values["hp_familiarity"] == own.values["hp_familiarity"]
    for ours, theirs in zip(
        found.values["hp_token_probability"]["token_probability"],
        own.values["hp_token_probability"]["token_probability"],
        strict=True,
    ):
        assert ours == pytest.approx(theirs, rel=1e-4)
    texts = [row["responses"] for row in load_samples(tmp_path / "out", "v1", "hp_familiarity")]
    assert any(len(text[0]) > 5 for text in texts)


def test_a_served_chat_models_prompts_begin_once(place, served, tmp_path, monkeypatch):
    """Its template writes the first token, and the tokenizer adds it: the server was sent two, the other engines one."""
    folder = shutil.copytree(place / "metaspace", tmp_path / "chat")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    monkeypatch.setattr(Server, "asked", [])
    tasks = load_tasks(["hp_familiarity_chat"], {"prompts": str(place / "prompts")})
    found = score_engine(EndpointEngine(served, tokenizer=str(folder)), tasks, name="s")
    (_, body) = Server.asked  # the first is a trial of one token
    assert {ids.count(1) for ids in body["prompt"]} == {1}
    own = score_engine(HFEngine(folder, device="cpu"), tasks, name="s")
    assert [row["resps"] for row in found.samples["hp_familiarity_chat"]] == [
        row["resps"] for row in own.samples["hp_familiarity_chat"]
    ]


def run_auto(*words: object, code: int = 0):
    done = CliRunner().invoke(app, ["score", *map(str, words)])
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


def test_a_server_that_does_not_echo_is_a_failure_and_not_a_likelihood_of_one(place, served, monkeypatch):
    monkeypatch.setattr(Server, "echoes", False)
    engine = EndpointEngine(served, max_retries=1)
    card = score_engine(
        engine, load_tasks(["hp_token_probability"], {"prompts": str(place / "prompts")}), name="s"
    ).card
    assert "it does not echo the prompt" in card.failures["hp_token_probability"]
    assert card.get("hp_token_probability", "token_probability").value is None


def test_texts_that_a_server_did_not_return_are_unscored(place, served, monkeypatch):
    monkeypatch.setattr(Server, "texts", False)
    card = score_engine(
        EndpointEngine(served), load_tasks(["hp_familiarity"], {"prompts": str(place / "prompts")}), name="s"
    ).card
    found = card.get("hp_familiarity", "familiarity")
    assert (found.value, found.unscored) == (None, len(small_prompts.STORY))
    assert card.failed


@pytest.mark.parametrize(
    "address, options, message",
    [
        ("http://127.0.0.1:9/v1", {}, "no completions server answers at 'http://127.0.0.1:9/v1/models': is it running"),
        (
            "{served}/chat/completions",
            {},
            "is the address of chats, and hp-bench asks for completions: write '{served}'",
        ),
        ("{served}#other", {}, "serves no model 'other'; it serves 'served'"),
        ("localhost:8000", {}, "is no address"),
        ("{served}", {"dtype": "float32"}, "the server's own"),
        ("{served}", {"tokenizer": "/no/such/tokenizer"}, "no tokenizer could be loaded.*--tokenizer"),
    ],
)
def test_what_is_wrong_with_an_endpoint_is_one_sentence(served, address, options, message):
    with pytest.raises(ValueError, match=message.format(served=served)):
        EndpointEngine(address.format(served=served), **options)


def test_the_doctor_looks_at_a_served_model(place, served):
    tasks = load_tasks(TASKS.split(","), {"prompts": str(place / "prompts")})
    found = fitness(served, EngineSettings(), tasks, 0.0)
    assert not found.refused and found.seconds is not None and found.requests > len(small_prompts.STORY)
    assert (found.parameters, found.dtype) == (0, "")


@pytest.mark.parametrize("answer", [b"<html>log in</html>", b'{"error": "no such page"}', b"[]", b'{"data": null}'])
def test_an_address_that_lists_no_models_is_one_sentence(served, monkeypatch, answer):
    """It ended in "Expecting value: line 1 column 1 (char 0)", or in "'data'"."""
    monkeypatch.setattr("requests.models.Response.content", answer)
    with pytest.raises(ValueError, match="/v1/models.*(gives no list of models|no JSON, such as a web page).*look at"):
        EndpointEngine(served)


@pytest.mark.parametrize("at", ["listing", "status"])
@pytest.mark.parametrize(
    "status, advice",
    [
        (401, "401 Unauthorized: it wants a key: set OPENAI_API_KEY"),
        (404, "404 Not Found: nothing is there: the address is that of the server up to /v1"),
        (429, "429 Too Many Requests: it is asked too often: run the same again later, with fewer requests"),
        (502, "502 Bad Gateway: the server, or a gateway before it, fails: look at its log"),
        (418, "418 I'm a Teapot: look at the server's log"),
    ],
)
def test_a_server_that_refuses_is_the_users_mistake_before_anything_is_loaded(
    served, tmp_path, monkeypatch, at, status, advice
):
    """It was a scorecard of failures such as "HTTPError: 404 Client Error", after three tries, and exit code 1."""
    waits = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    monkeypatch.setattr(Server, at, status)
    done = run_auto(served, "--out", tmp_path / "out", code=1)
    assert waits == ([1, 1, 2, 4, 8, 10, 10, 10, 10] if status == 429 else [])
    page = "models" if at == "listing" else "completions"
    assert type(done.exception) is ValueError  # `guarded` makes one sentence of it, and exit code 2
    assert str(done.exception).startswith(f"'{served}/{page}' answers {advice}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("at", ["listing", "status"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_at_the_first_request_is_waited_for_in_one_line(
    place, served, tmp_path, monkeypatch, caplog, at, status
):
    """It ended the command, where it would have been asked again later."""
    waits = []

    def waited(seconds):
        waits.append(seconds)
        monkeypatch.setattr(Server, at, status if len(waits) < 3 else 200)

    monkeypatch.setattr("tenacity.nap.time.sleep", waited)
    monkeypatch.setattr(Server, at, status)
    words = ["--metadata", f"prompts={place / 'prompts'}", "--tasks", "hp_token_probability", "--json"]
    (card,) = json.loads(run_auto(served, *words, "--out", tmp_path / "out").stdout)["scorecards"]
    assert waits == [1, 1, 2] and card["measurements"][0]["n"] == len(small_prompts.WORDS)
    page = "models" if at == "listing" else "completions"
    said = [one.getMessage() for one in caplog.records if one.name.startswith("hp_bench")]
    assert said == [f"'{served}/{page}' answers {status}: asking it again for a minute"]


@pytest.mark.parametrize(
    "answer", [[], [{"choices": []}], {"choices": []}, {"choices": None}, {"choices": ["Ron"]}, {}, 3]
)
def test_a_servers_answer_that_is_none_is_one_sentence_before_anything_is_loaded(served, tmp_path, monkeypatch, answer):
    monkeypatch.setattr(Server, "other", answer)
    done = run_auto(served, "--out", tmp_path / "out", code=1)
    assert str(done.exception).startswith(f"'{served}/completions' answers with ")
    assert "in place of a completion: " in str(done.exception) and "look at the address" in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("concurrent", [1, 2])
def test_prompts_that_a_server_leaves_without_an_answer_are_unscored_with_their_reason(
    place, served, monkeypatch, concurrent
):
    """One prompt's text used to be taken for another's, or the run ended in an IndexError."""
    tasks = load_tasks(["hp_familiarity"], {"prompts": str(place / "prompts")})
    whole = score_engine(EndpointEngine(served, num_concurrent=concurrent), tasks, name="s")
    answered = Server._answer

    def shortened(self, content, status=200):
        choices = content.get("choices", [])
        answered(self, content if not choices else {"choices": [one for one in choices if one["index"] != 1]}, status)

    monkeypatch.setattr(Server, "_answer", shortened)
    scored = score_engine(EndpointEngine(served, num_concurrent=concurrent), tasks, name="s")
    texts, expected = ([row["resps"][0][0] for row in one.samples["hp_familiarity"]] for one in (scored, whole))
    lost = texts.index(None)
    assert texts == [*expected[:lost], None, *expected[lost + 1 :]] and len({*expected}) == len(expected)
    reason = f"'{served}/completions' answers without a completion of it (choices: 3)"
    assert scored.card.manifest.findings == [f"hp_familiarity: 1 of 4 requests are unscored: {reason}"]
    assert scored.card.get("hp_familiarity", "familiarity").n == 3


@pytest.mark.parametrize("concurrent", [1, 2])
def test_requests_that_fail_to_the_last_leave_their_prompts_unscored_and_not_the_others(
    place, served, monkeypatch, concurrent
):
    tasks = load_tasks(TASKS.split(","), {"prompts": str(place / "prompts")})
    engine = EndpointEngine(served, num_concurrent=concurrent, max_retries=1, batch_size=2)
    for name, value in (("asked", []), ("status", 502), ("last", 1)):
        monkeypatch.setattr(Server, name, value)
    card = score_engine(engine, {"tasks": {"hp_familiarity": tasks["tasks"]["hp_familiarity"]}}, name="s").card
    found = card.get("hp_familiarity", "familiarity")
    assert (found.n, found.unscored) == (2, 2) and not card.failures
    assert "2 of 4 requests are unscored: " in card.manifest.findings[0]
    assert f"'{served}/completions' answers 502 Bad Gateway" in card.manifest.findings[0]
    Server.asked.clear()
    name = "hp_token_probability"
    card = score_engine(engine, {"tasks": {name: tasks["tasks"][name]}}, name="s").card
    found = card.get(name, "token_probability")
    assert found.n and found.unscored and not card.failures
    assert any("log-likelihoods are unscored: " in sentence for sentence in card.manifest.findings)


def test_a_served_model_without_a_tokenizer_is_said_at_once_where_there_is_no_network(served, monkeypatch):
    """The hub's library tried for 50 seconds to reach it."""
    import socket

    from huggingface_hub import constants

    from unlearn.files import offline_if_unknown

    monkeypatch.setattr(Server, "folder", "somebody/served")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    looked_up = socket.getaddrinfo

    def no_network(host, *arguments, **options):
        if host not in ("127.0.0.1", "localhost"):
            tried.append(host)
            raise socket.gaierror("no network")
        return looked_up(host, *arguments, **options)

    tried = []
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    offline_if_unknown.cache_clear()
    try:
        with pytest.raises(ValueError, match="no tokenizer .*'somebody/served'.*name the tokenizer .*--tokenizer"):
            EndpointEngine(served)
    finally:
        offline_if_unknown.cache_clear()
    assert len(tried) == 1


@pytest.mark.parametrize("concurrent", [1, 2])
def test_texts_that_a_servers_filter_held_back_are_unscored_and_not_forgotten(place, served, monkeypatch, concurrent):
    monkeypatch.setattr(Server, "changed", {"text": "", "finish_reason": "content_filter"})
    tasks = load_tasks(["hp_familiarity"], {"prompts": str(place / "prompts")})
    scored = score_engine(EndpointEngine(served, num_concurrent=concurrent), tasks, name="s")
    assert scored.card.failed and scored.card.get("hp_familiarity", "familiarity").value is None
    reason = "the server's filter held the text back"
    assert scored.card.manifest.findings == [f"hp_familiarity: 4 of 4 requests are unscored: {reason}"]
    assert {json.loads(row["filtered_resps"][0])["unscored"] for row in scored.samples["hp_familiarity"]} == {reason}


@pytest.mark.parametrize("concurrent", [1, 2])
def test_answers_that_a_server_cuts_short_are_unscored_and_not_forgotten(place, served, monkeypatch, concurrent):
    """A server that gives every request one token had a familiarity of 0."""
    monkeypatch.setattr(Server, "most", 1)
    tasks = load_tasks(["hp_familiarity"], {"prompts": str(place / "prompts")})
    card = score_engine(EndpointEngine(served, num_concurrent=concurrent), tasks, name="s").card
    assert card.failed and card.get("hp_familiarity", "familiarity").value is None
    reason = "the server cut it short of the 12 tokens asked for; raise its limit"
    assert card.manifest.findings == [f"hp_familiarity: 4 of 4 requests are unscored: {reason}"]


@pytest.mark.parametrize(
    "said, counted, scored", [("Nora Quill", 48, 4), ("Nora Quill", None, 0), ("a b c d e f g h i j k", None, 4)]
)
def test_an_answer_of_all_its_tokens_is_scored_however_few_it_has_when_read_again(
    place, served, monkeypatch, said, counted, scored
):
    monkeypatch.setattr(Server, "changed", {"text": said, "finish_reason": "length"})
    monkeypatch.setattr(Server, "counted", counted)
    tasks = load_tasks(["hp_familiarity"], {"prompts": str(place / "prompts")})
    card = score_engine(EndpointEngine(served), tasks, name="s").card
    assert card.get("hp_familiarity", "familiarity").n == scored


@pytest.mark.parametrize("fewer", [0, 1])
def test_a_server_that_reads_less_than_it_was_sent_is_said_to(place, served, monkeypatch, fewer):
    sent = sum(len(tiny.tokenizer("metaspace_bpe")(prompt)["input_ids"]) for prompt, _ in small_prompts.STORY)
    monkeypatch.setattr(Server, "read", sent - fewer)
    tasks = load_tasks(["hp_familiarity"], {"prompts": str(place / "prompts")})
    findings = score_engine(EndpointEngine(served), tasks, name="s").card.manifest.findings
    assert [said.startswith("its server counts fewer tokens of a prompt than it was sent") for said in findings] == [
        True
    ] * fewer


def test_an_empty_answer_of_a_server_is_empty_and_no_evidence(place, served, monkeypatch):
    monkeypatch.setattr(Server, "changed", {"text": "", "finish_reason": "stop"})
    tasks = load_tasks(["hp_familiarity"], {"prompts": str(place / "prompts")})
    card = score_engine(EndpointEngine(served), tasks, name="s").card
    assert card.get("hp_familiarity", "empty").value == 1
    assert card.get("hp_familiarity", "degenerate").value == 0
    assert "is silent: 4 of 4 completions" in broken(card)


@pytest.mark.parametrize("concurrent", [1, 2])
def test_a_server_that_answers_with_a_web_page_leaves_its_prompts_unscored(place, served, monkeypatch, concurrent):
    tasks = load_tasks(TASKS.split(","), {"prompts": str(place / "prompts")})
    engine = EndpointEngine(served, num_concurrent=concurrent, max_retries=1)
    monkeypatch.setattr(Server, "other", "<html>Bad gateway</html>")
    card = score_engine(engine, tasks, name="s").card
    assert card.failed and {m.n for m in card.measurements} == {0}
    message = f"unscored: '{served}/completions' answers with something that is no JSON, such as a web page"
    assert [message in sentence for sentence in card.manifest.findings] == [True] * len(card.manifest.findings)
    assert len(card.manifest.findings) == 2


@pytest.mark.parametrize("concurrent", [1, 2])
@pytest.mark.parametrize(
    "answer, message",
    [({"error": {"message": "no such adapter"}}, "answers with an error in place of a completion: no such adapter")],
)
def test_a_server_that_answers_with_something_else_is_one_sentence(
    place, served, monkeypatch, answer, message, concurrent
):
    tasks = load_tasks(TASKS.split(","), {"prompts": str(place / "prompts")})
    engine = EndpointEngine(served, num_concurrent=concurrent, max_retries=1)
    monkeypatch.setattr(Server, "other", answer)
    card = score_engine(engine, tasks, name="s").card
    for sentence in card.failures.values():
        assert sentence.startswith(f"'{served}/completions' {message}")
    assert set(card.failures) == set(TASKS.split(","))


def test_a_prompt_that_does_not_fit_a_servers_context_is_unscored(place, served, monkeypatch):
    monkeypatch.setattr(Server, "context", 20)
    tasks = load_tasks(["hp_familiarity"], {"prompts": str(place / "prompts")})
    card = score_engine(EndpointEngine(served), tasks, name="s").card
    assert card.get("hp_familiarity", "familiarity").n == 0
    assert "12 new tokens do not fit the context of 19 tokens" in card.manifest.findings[0]


@pytest.mark.parametrize("owner, sent", [("vllm", True), ("", False)])
def test_a_servers_own_settings_are_undone_as_far_as_a_request_can_and_said(
    place, served, tmp_path, monkeypatch, owner, sent
):
    folder = shutil.copytree(place / "metaspace", tmp_path / "m")
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**settings, "repetition_penalty": 3.0}))
    monkeypatch.setattr(Server, "folder", str(folder))
    monkeypatch.setattr(Server, "owner", owner)
    monkeypatch.setattr(Server, "asked", [])
    tasks = load_tasks(["hp_familiarity"], {"prompts": str(place / "prompts")})
    card = score_engine(EndpointEngine(served), tasks, name="s").card
    assert card.manifest.findings and "(repetition_penalty=3.0)" in card.manifest.findings[0]
    _, *bodies = Server.asked  # the first is a trial of one token
    assert all(body["frequency_penalty"] == body["presence_penalty"] == 0 for body in bodies)
    assert all(("repetition_penalty" in body) == sent for body in bodies)
