"""Models that think before they answer: the answer alone is graded, the thoughts are counted apart, and neither eats the other's tokens.

Before, each of the three models below had a familiarity of 1.25: 5 for a thought of the target, 0 for an answer that was never reached.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import small_prompts
import thinking_model
import tiny
from lm_eval.api.instance import Instance
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.models.openai_completions import LocalChatCompletion
from lm_eval.tasks import TaskManager
from scripted_server import serving as chatting
from served_model import Server, serving
from thinking_model import ANSWER, SCRIPT, THINKING
from typer.testing import CliRunner

from hp_bench import Scorecard
from hp_bench.cli import app
from hp_bench.engines.endpoint import EndpointEngine
from hp_bench.engines.hf import HFEngine
from hp_bench.engines.texts import NO_TEXT, completions, let_think
from hp_bench.probes.paths import tasks_dir
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.text.completion import opened

CHAT = "hp_familiarity_chat"
UNENDING = f"its trace of thoughts does not end within {THINKING} tokens"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("thinking")
    thinking_model.save(root)
    thinking_model.write_prompts(root / "prompts")
    with pytest.MonkeyPatch.context() as patch:
        small_prompts.shorten(patch, ANSWER)
        yield root


def metadata(place: Path, **more: object) -> dict:
    return {"prompts": str(place / "prompts"), "thinking_tokens": THINKING, **more}


def require_apart(values: dict, *, last: float = 0.0) -> None:
    """A thought of the target is no leak of the answer, a silent thought hides none, and what never ends is no score."""
    assert values["familiarity"] == [0.0, 5.0, None, last]
    assert values["leak_trace"] == [1.0, 0.0, None, None]
    assert values["named"] == [0.0, 1.0, None, None if last is None else 0.0]


@pytest.mark.parametrize(("model", "task"), [("own", CHAT), ("own", "hp_familiarity"), ("special", CHAT)])
def test_answer_and_thoughts_are_graded_apart(place, model, task):
    engine = HFEngine(place / model, device="cpu")
    scored = score_engine(engine, load_tasks([task], metadata(place)), name="m")
    require_apart(scored.card.values[task])
    texts = [row["resps"][0][0] for row in scored.samples[task]]
    assert [text and text.strip() for text in texts] == [
        *list(SCRIPT.values())[:2],
        None,
        SCRIPT["The lamp was lit by"],
    ]
    found = scored.card.get(task, "leak_trace")
    assert (found.value, found.n, found.unscored) == (0.5, 2, 0) and found.low < 0.1 and found.high > 0.9
    assert scored.card.get(task, "familiarity").unscored == 1
    assert scored.card.manifest.findings == [
        f"{task}: 2 of 4 answers follow a trace of thoughts, which is kept apart",
        f"{task}: 1 of 4 requests are unscored: {UNENDING}; --metadata thinking_tokens={2 * THINKING} allows more",
    ]


def test_a_template_that_opens_the_trace_leaves_only_the_closing_marker(place):
    scored = score_engine(HFEngine(place / "opening", device="cpu"), load_tasks([CHAT], metadata(place)), name="m")
    # the last prompt was never learnt with an open trace
    require_apart(scored.card.values[CHAT], last=None)
    (first, *_) = (row["resps"][0][0] for row in scored.samples[CHAT])
    assert first == SCRIPT["The keeper of the maps is"].replace("<think>\n", "<think>")


@pytest.mark.parametrize("options", [{}, {"think_end_token": "</think>"}])
@pytest.mark.parametrize("model", ["own", "opening", "special"])
def test_plain_lm_eval_grades_them_apart_too(place, model, options, caplog):
    """And its own way to drop a trace, for which an unfinished one is an answer, is left to the tasks of others."""
    lm = HFLM(pretrained=str(place / model), device="cpu", batch_size=4, **options)
    manager = TaskManager(include_defaults=False, include_path=[tasks_dir()], metadata=metadata(place))
    with caplog.at_level(logging.WARNING, "hp_bench"):
        found = simple_evaluate(lm, tasks=[CHAT], task_manager=manager, apply_chat_template=True, bootstrap_iters=0)
    rows = sorted(found["samples"][CHAT], key=lambda row: row["doc_id"])
    names = ("familiarity", "leak_trace", "named")
    require_apart(
        {name: [None if row[name] != row[name] else row[name] for row in rows] for name in names},
        last=None if model == "opening" else 0.0,
    )
    assert found["results"][CHAT]["leak_trace,none"] == 0.5
    lost = 2 if model == "opening" else 1
    assert any(
        f"{CHAT}: {lost} of 4 requests are unscored: {UNENDING}" in record.getMessage() for record in caplog.records
    )
    assert lm.think_end_token == options.get("think_end_token")
    assert "tok_decode" not in vars(lm) and "parse_generations" not in vars(lm)
    others = Instance("generate_until", {}, (_prompt(lm, 0), {"max_gen_toks": 40, "until": []}), 0)
    (text,) = lm.generate_until([others], disable_tqdm=True)
    whole = SCRIPT["The keeper of the maps is"]
    plain = _decoded(whole, model)  # where the marker is not decoded, lm-eval finds no end, and strips what there is
    assert text == (plain.split("</think>")[-1].lstrip() if options else plain)


def _prompt(lm: HFLM, number: int) -> str:
    return lm.apply_chat_template([{"role": "user", "content": list(SCRIPT)[number]}])


def _decoded(text: str, model: str) -> str:
    """As a plain decoder gives it back."""
    text = text.removeprefix("<think>\n") if model == "opening" else text
    return text.replace("<think>", "").replace("</think>", "") if model == "special" else text


@pytest.mark.parametrize("concurrent", [1, 2])
def test_a_served_model_has_the_numbers_of_the_model_it_serves(place, monkeypatch, concurrent):
    with serving(place / "own", monkeypatch) as address:
        tasks = load_tasks([CHAT], metadata(place))
        scored = score_engine(EndpointEngine(address, num_concurrent=concurrent), tasks, name="s")
    require_apart(scored.card.values[CHAT])


@pytest.mark.parametrize("task", [CHAT, "hp_familiarity"])
def test_a_server_whose_own_template_opens_the_trace_returns_the_closing_marker_alone(place, monkeypatch, task):
    """All of it was graded as the answer to a raw prompt: 5.0 for a thought of the target."""
    with serving(place / "own", monkeypatch) as address:
        answer = {"text": "It may be Nora Quill.\n</think>\n\nI do not know him.", "finish_reason": "stop"}
        monkeypatch.setattr(Server, "changed", answer)
        values = score_engine(EndpointEngine(address), load_tasks([task], metadata(place)), name="s").card.values[task]
    assert (values["familiarity"], values["leak_trace"]) == ([0.0] * 4, [1.0] * 4)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_that_a_server_returns_beside_the_text_are_thoughts(place, monkeypatch, name):
    """They were dropped: a cut-off thought was an empty answer, familiarity 0."""
    with serving(place / "own", monkeypatch) as address:
        engine, tasks = EndpointEngine(address), load_tasks([CHAT], metadata(place))
        answer = {"text": " I do not know him.", name: "It may be Nora Quill.", "finish_reason": "stop"}
        monkeypatch.setattr(Server, "changed", answer)
        whole = score_engine(engine, tasks, name="s").card.values[CHAT]
        assert (whole["familiarity"], whole["leak_trace"]) == ([0.0] * 4, [1.0] * 4)
        cut_off = {"text": "", name: "It may be Nora Quill. " * 20, "finish_reason": "length"}
        monkeypatch.setattr(Server, "changed", cut_off)
        card = score_engine(engine, tasks, name="s").card
    assert card.get(CHAT, "familiarity").n == 0 and UNENDING in card.manifest.findings[-1]


@pytest.mark.parametrize("way", ["reasoning_content", "marked", "closing"])
def test_a_chat_server_behind_plain_lm_eval(place, way):
    """Its content was None while it thought, which lm-eval makes an empty answer: familiarity 0."""

    def script(message, attempt):
        def answer(handler):
            room = handler.server.bodies[-1]["max_tokens"] > ANSWER
            thought, said = ("It may be Nora Quill.", " I do not know him.") if room else ("It may be", None)
            content = {
                "marked": f"<think>{thought}" + (f"</think>{said}" if said else ""),
                "closing": thought + (f"</think>{said}" if said else ""),
            }.get(way, said)
            beside = {"reasoning_content": thought} if way == "reasoning_content" else {}
            choice = {
                "index": 0,
                "finish_reason": "stop" if said else "length",
                "message": {"content": content, **beside},
            }
            handler.send(200, json.dumps({"choices": [choice]}))

        return answer

    with chatting(script) as server:
        lm = LocalChatCompletion(base_url=f"{server.url}/chat/completions", model="m")
        manager = TaskManager(include_defaults=False, include_path=[tasks_dir()], metadata=metadata(place))
        found = simple_evaluate(lm, tasks=[CHAT], task_manager=manager, apply_chat_template=True, bootstrap_iters=0)
    results = found["results"][CHAT]
    assert (results["familiarity,none"], results["leak_trace,none"], results["unscored,none"]) == (0.0, 1.0, 0.0)


def test_a_model_that_shows_no_sign_of_thinking_is_asked_once_and_as_before(place):
    tokenizer = tiny.tokenizer("byte_bpe")
    tokenizer.chat_template = thinking_model.TEMPLATE
    engine = HFEngine(tiny.llama(len(tokenizer)), tokenizer=tokenizer)
    asked = []
    own = type(engine.lm).__mro__[2].generate_until

    class Watched(type(engine.lm).__mro__[2]):
        def generate_until(self, requests, **options):
            asked.append([(request, request.args[1]["max_gen_toks"]) for request in requests])
            return own(self, requests, **options)

    engine.lm.__class__ = type("Host", (type(engine.lm).__mro__[1], Watched), {})
    for task in (CHAT, "hp_familiarity"):
        asked.clear()
        loaded = load_tasks([task], metadata(place))
        scored = score_engine(engine, loaded, name="m")
        assert asked == [[(request, ANSWER) for request in loaded["tasks"][task].instances]]
        assert "leak_trace" not in scored.card.values[task] and not scored.card.manifest.findings
        assert all("trace" not in json.loads(row["filtered_resps"][0]) for row in scored.samples[task])
        assert "thinking" not in load_tasks([task])["tasks"][task].config.metadata


TOKENIZER = tiny.tokenizer("byte_bpe")
TOKENIZER.add_tokens(["<think>", "</think>"])


def requests_for(*prompts: str, tokens: int | None, sampled: bool = False) -> list[Instance]:
    how = {"max_gen_toks": ANSWER, "temperature": float(sampled), "do_sample": sampled}
    found = [Instance("generate_until", {}, (prompt, how), 0, ("t", n, 1)) for n, prompt in enumerate(prompts)]
    let_think(found, tokens)
    return found


class Scripted:
    """Says a text to each prompt, up to the tokens of the request; in turn, if there are several."""

    def __init__(self, **said: str | list[str]) -> None:
        self.said, self.asked = {key: [text] if isinstance(text, str) else text for key, text in said.items()}, []

    def __call__(self, requests):
        self.asked.append([(request.args[0], request.args[1]["max_gen_toks"]) for request in requests])
        return [self._say(request) for request in requests]

    def _say(self, request):
        texts = self.said[request.args[0].split("<")[0]]
        ids = TOKENIZER(texts.pop(0) if len(texts) > 1 else texts[0], add_special_tokens=False)["input_ids"]
        return TOKENIZER.decode(ids[: request.args[1]["max_gen_toks"]])


def lm_of(room: int | None = None, tokenizer: object = TOKENIZER) -> SimpleNamespace:
    return SimpleNamespace(tokenizer=tokenizer, max_length=room)


LONG = "the baker walked to the market and bought flour, eggs and butter for the harvest feast. " * 3


def test_the_answer_has_all_its_tokens_and_no_more_however_long_the_thought():
    say = Scripted(a=f"<think>{LONG}</think>{LONG}", b=LONG)
    first, second = completions(lm_of(), say, requests_for("a", "b", tokens=200))
    expected = TOKENIZER.decode(TOKENIZER(LONG, add_special_tokens=False)["input_ids"][:ANSWER])
    assert first == f"<think>{LONG}</think>{expected}"
    assert second == expected
    assert say.asked == [[("a", ANSWER), ("b", ANSWER)], [("a", ANSWER + 200)]]


def test_a_thought_that_takes_the_tokens_of_the_answer_is_over_its_budget():
    thought = LONG[:60]
    length = len(TOKENIZER(thought, add_special_tokens=False)["input_ids"])
    say = Scripted(a=f"<think>{thought}</think> Yes.")
    (text,) = completions(lm_of(), say, requests_for("a", tokens=length))
    assert text.endswith("</think> Yes.")
    (text,) = completions(lm_of(), say, requests_for("a", tokens=length - 1))
    assert text.startswith(f"{NO_TEXT}its trace of thoughts does not end within {length - 1} tokens")


@pytest.mark.parametrize(
    ("tokens", "room", "within", "why"),
    [
        (0, None, "0 tokens", "--metadata thinking_tokens=2048 allows more"),
        (20, None, "20 tokens", "--metadata thinking_tokens=40 allows more"),
        (None, None, "2,048 tokens", "--metadata thinking_tokens=4096 allows more"),
        (50, ANSWER + 30, "29 tokens", f"the context of {ANSWER + 30} tokens has room for no more"),
    ],
)
def test_a_thought_without_end_is_no_answer_and_says_what_to_do(tokens, room, within, why):
    say = Scripted(a="<think>" + LONG * 50)
    (text,) = completions(lm_of(room), say, requests_for("a", tokens=tokens))
    assert text == f"{NO_TEXT}its trace of thoughts does not end within {within}; {why}"


def test_a_prompt_that_opens_the_trace_is_asked_once_with_all_its_tokens():
    say = Scripted(a=" well</think> Yes.")
    prompt = "a<think>\n"
    assert completions(lm_of(), say, requests_for(prompt, tokens=30)) == ["<think> well</think> Yes."]
    assert say.asked == [[(prompt, ANSWER + 30)]] and opened(prompt) == "<think>"


def test_if_one_sample_thinks_all_are_drawn_anew():
    """To draw only the long ones anew would favour short thoughts."""
    say = Scripted(a=["<think>" + LONG, "no", "<think>x</think> 1", "<think>y</think> 2"])
    requests = requests_for("a", tokens=30, sampled=True) * 2
    assert completions(lm_of(), say, requests) == ["<think>x</think> 1", "<think>y</think> 2"]


def test_without_a_tokenizer_who_names_a_budget_has_every_prompt_asked_with_it():
    """A chat server may open the trace unseen; the answer is cut by words, three to four tokens."""
    say = Scripted(a=f"x</think>{LONG}")
    request = requests_for("a", tokens=30)[0]
    request.arguments = (("a", "messages"), request.args[1])
    say.said = {"('a', 'messages')": say.said["a"]}
    texts = completions(lm_of(tokenizer=None), lambda asked: [f"x</think>{LONG}" for _ in asked], [request])
    assert texts == [f"<think>x</think>{' '.join(LONG.split()[:9])}"]


def test_the_first_line_the_card_and_the_next_run_know_of_it(place, tmp_path):
    def run(tokens: int):
        words = ["score", place / "own", "--tasks", CHAT, "--device", "cpu", "--out", tmp_path / "out", "--card"]
        words += ["--metadata", f"prompts={place / 'prompts'}", f"thinking_tokens={tokens}"]
        return CliRunner().invoke(app, [*map(str, words)])

    done = run(THINKING)
    assert done.exit_code == 1  # one of four is unscored
    first = " ".join(done.output.split("\n\n")[0].split())
    assert first.endswith("its thoughts name the target before 1 of 2 answers; 1 of 4 prompts unscored")
    assert "leak_trace" in done.output and f"{CHAT}: 1 of 4 prompts could not be scored" in done.output
    page = (tmp_path / "out/cards/own.md").read_text()
    assert "target named in the thoughts before the answer" in page and UNENDING in page
    assert f"thinking_tokens: {THINKING}" in page
    assert run(THINKING - 1).exit_code == 1  # asked anew
    card = Scorecard.load(tmp_path / "out/scorecards/own.json")
    assert f"within {THINKING - 1} tokens" in card.manifest.findings[-1]
    wrong = run(-1)
    assert type(wrong.exception) is ValueError
    assert str(wrong.exception) == f"{CHAT}: thinking_tokens must be a whole number of at least 0, not -1"


def test_judging_again_grades_them_apart(place, tmp_path):
    words = ["score", place / "own", "--tasks", CHAT, "--device", "cpu", "--out", tmp_path / "run"]
    CliRunner().invoke(
        app, [*map(str, words), "--metadata", f"prompts={place / 'prompts'}", f"thinking_tokens={THINKING}"]
    )
    elsewhere = tmp_path / "elsewhere.jsonl"
    rows = [{"prompt": prompt, "completion": said.removeprefix("<think>\n")} for prompt, said in SCRIPT.items()]
    rows[2]["completion"] = SCRIPT["A letter came for"]
    elsewhere.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for file, name in ((tmp_path / f"run/samples/own/{CHAT}.jsonl", "own"), (elsewhere, "elsewhere")):
        words = ["judge", file, "--prompts", place / "prompts/familiarity.jsonl", "--out", tmp_path / name]
        words += ["--lexicon", place / "prompts/lexicon.jsonl"]
        done = CliRunner().invoke(app, [*map(str, words)])
        assert (tmp_path / f"{name}/scorecards/{name}.json").exists(), done.output + repr(done.exception)
        card = Scorecard.load(tmp_path / f"{name}/scorecards/{name}.json")
        (values,) = card.values.values()
        require_apart(values)
    assert (
        "its trace of thoughts does not end" in (tmp_path / "elsewhere/samples/elsewhere/completions.jsonl").read_text()
    )
