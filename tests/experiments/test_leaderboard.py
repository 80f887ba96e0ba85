"""The leaderboard: its rows, the rule by which settings are chosen, ties, the plane, what is left."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from hp_bench.experiments import leaderboard as board
from hp_bench.experiments.findings import ABOVE, NOT_NAMES, Finding, keep, known, panel
from hp_bench.experiments.measure import Model, require_finite
from hp_bench.experiments.plane import draw_board
from hp_bench.experiments.rows import Rows
from hp_bench.experiments.store import Number, RowScore, SeedFolder, clear_run, logged, stage_seconds
from hp_bench.experiments.table import Entry, Leaderboard, leads, to_markdown, to_text
from hp_bench.experiments.training import checked, rows_in
from hp_bench.experiments.tuning import Candidate, Choices, best
from hp_bench.miniature import Settings
from hp_bench.miniature.settings import Plan
from hp_bench.report.figures import save_figure
from hp_bench.results.scorecard import Manifest, Scorecard, TaskManifest, measure
from unlearn.files import recipes_dir
from unlearn.registry import METHODS

ROWS = recipes_dir() / "leaderboard.yaml"
PLAN = Plan("harry-potter", 0, Settings())


def content():
    return yaml.safe_load(ROWS.read_text(encoding="utf-8"))


def written(path, changed):
    path.write_text(yaml.safe_dump(changed), encoding="utf-8")
    return path


def test_every_row_and_every_setting_of_it_is_a_recipe(tmp_path):
    rows = Rows.load(ROWS)
    named = rows.named([])
    recipes = checked(named, tmp_path)
    assert set(recipes) == set(rows.rows)
    assert {recipe.method for recipe in recipes.values()} == set(METHODS)
    assert recipes["npo"].retain.corpus.startswith(str(tmp_path))
    for name, recipe in recipes.items():
        if METHODS[recipe.method].finetune:
            step, training = named[name].step, recipe.finetune
            assert step % training.save_every == 0 and step <= training.max_steps, name


def test_the_rows_of_a_real_model_are_recipes_and_an_unknown_model_is_refused(tmp_path):
    rows = rows_in(model="smollm2").named([])
    recipes = checked(rows, tmp_path)
    assert {recipe.retain.corpus for recipe in recipes.values() if recipe.retain} == {f"{tmp_path}/text/neutral.jsonl"}
    assert {len(row.tried) for row in rows.values()} == {2}
    with pytest.raises(ValueError, match="model 'gpt5' is unknown; known are miniature, smollm2"):
        rows_in(model="gpt5")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["rows"]["npo"]["tried"].append({}), r"row npo: \d settings were tried, not the \d of budget"),
        (lambda c: c["rows"]["whp"].update(chosen={"finetune.learning_rate": 1e-4}), "names no step"),
        (
            lambda c: c["rows"]["whp"].update(chosen={"finetune.learning_rate": 7.0, "step": 120}),
            "none of the settings",
        ),
        (lambda c: c["rows"]["whp"].update(colour="red"), "colour"),
        (lambda c: c["rows"]["whp_no_relu"].update(tried=[{}]), "leave out tried and chosen"),
        (lambda c: c["rows"]["whp_no_relu"].update(of="whp_no_offset"), "names no row with settings of its own"),
    ],
)
def test_a_mistake_in_the_rows_is_said_in_a_sentence(tmp_path, change, said):
    changed = content()
    change(changed)
    with pytest.raises(ValueError, match=said):
        Rows.load(written(tmp_path / "rows.yaml", changed))


def test_an_ablation_keeps_the_settings_of_its_row():
    rows = Rows.load(ROWS)
    assert rows.named(["whp_no_relu"])["whp_no_relu"].chosen == rows.rows["whp"].chosen


def test_an_ablation_takes_no_setting_over_that_it_changes_itself(tmp_path):
    changed = content()
    changed["rows"]["whp"]["tried"][0]["labels.alphas"] = [2.0]
    changed["rows"]["whp"]["chosen"] = {**changed["rows"]["whp"]["tried"][0], "step": 40}
    row = Rows.load(written(tmp_path / "rows.yaml", changed)).named(["whp_no_offset"])["whp_no_offset"]
    assert "labels.alphas=[0]" in row.overrides(row.setting, "rest.jsonl")
    assert "labels.alphas" not in row.chosen and row.step == 40


@pytest.mark.parametrize("name", ["npo", "whp_no_relu"])
def test_a_row_without_a_choice_can_be_tried_and_not_compared(tmp_path, name):
    changed = content()
    of = changed["rows"][name].get("of", name)
    del changed["rows"][of]["chosen"]
    rows = Rows.load(written(tmp_path / "rows.yaml", changed))
    assert len(rows.named([of])[of].tried) == rows.budget
    with pytest.raises(ValueError, match=f"row {name}: no setting is chosen; .* --choose --rows {of}"):
        board.run_leaderboard(tmp_path / "out", rows=rows, names=[name])
    assert not (tmp_path / "out").exists()


def test_nothing_is_trained_where_there_is_nothing_to_choose(tmp_path):
    with pytest.raises(ValueError, match="nothing to choose: whp_no_relu keeps the settings of whp"):
        board.choose(tmp_path / "out", rows=Rows.load(ROWS), names=["whp_no_relu"])
    assert not (tmp_path / "out").exists()


def test_a_wrong_key_is_said_before_anything_is_trained(tmp_path):
    changed = content()
    changed["rows"]["npo"]["keys"]["options.gamma"] = 1
    rows = Rows.load(written(tmp_path / "rows.yaml", changed))
    with pytest.raises(ValueError, match=r"row npo, setting .*options\.gamma"):
        board.run_leaderboard(tmp_path / "out", rows=rows)
    assert not (tmp_path / "out").exists()


def candidate(step, familiarity, target, rest=0.0):
    return Candidate("x", {"a": 1}, step, familiarity, target, rest)


def test_the_nearest_of_those_that_have_forgotten_is_chosen():
    near_but_familiar, forgotten, farther = candidate(40, 0.51, 0.1), candidate(80, 0.5, 0.4), candidate(120, 0.0, 0.5)
    assert best([near_but_familiar, forgotten, farther], 5.0) is forgotten
    assert best([near_but_familiar, farther], 5.0) is farther
    assert best([near_but_familiar, candidate(40, 0.6, 0.0)], 5.0) is near_but_familiar
    assert best([Candidate("x", {}, failure="it died")], 5.0) is None


def test_a_setting_that_failed_is_kept_and_tried_again(tmp_path):
    folder = SeedFolder(tmp_path, 0)
    sound, dead = Candidate("npo", {"a": 1}, 40, 0.0, 0.5, 0.1), Candidate("npo", {"a": 1}, failure="it died")
    folder.keep_candidates("npo", 0, "id", [sound])
    folder.keep_candidates("npo", 1, "id", [sound, dead])
    assert folder.tried("npo", 0, "id") and not folder.tried("npo", 0, "another") and not folder.tried("npo", 2, "id")
    assert not folder.tried("npo", 1, "id") and folder.candidates("npo", 1, "id") == [sound, dead]


def test_candidates_tell_what_was_chosen_as_the_rows_file_has_it():
    choices = Choices(
        Candidate("baseline", {}, 0, 5.0, 1.0, 0.1),
        (candidate(40, 0.1, 0.3), Candidate("x", {"a": 2}, failure="it died")),
    )
    assert yaml.safe_load(choices.to_yaml()) == {"x": {"chosen": {"a": 1, "step": 40}}}
    assert "failed: it died" in str(choices.table()) and str(choices.table()).count("chosen") == 1


BETWEEN = {"kl_target": 0.05, "kl_rest": 0.01, "ks_target": 0.1, "ks_rest": 0.1}
NUMBERS = (
    "familiarity",
    "token_probability",
    "utility",
    "utility_drop",
    "rest_loss",
    "rest_change",
    "ks_target",
    "ks_rest",
)


def score(name, seed, target, rest=(0.1, 0.1, 0.1), failure=""):
    if failure:
        return RowScore(name, seed, "", failure=failure)
    numbers = {number: Number(float(seed)) for number in NUMBERS}
    numbers |= {"kl_target": Number(sum(target) / 3), "kl_rest": Number(sum(rest) / 3)}
    return RowScore(name, seed, "", numbers, {"target": target, "rest": rest}, BETWEEN)


def entry(name, *targets, failure=""):
    scores = [score(name, seed, target, failure=failure if seed == 2 else "") for seed, target in enumerate(targets, 1)]
    return Entry(name, f"method {name}", {"a": 1, "step": 40}, 40, tuple(scores))


def test_rows_are_sorted_and_a_small_or_uncertain_lead_is_a_tie():
    near = entry("near", (0.10, 0.12, 0.11), (0.10, 0.11, 0.12))
    close = entry("close", (0.14, 0.16, 0.15), (0.14, 0.15, 0.16))
    uncertain = entry("uncertain", (0.0, 0.0, 0.9), (0.0, 0.0, 0.9))
    far = entry("far", (0.50, 0.55, 0.52), (0.50, 0.52, 0.54))
    found = Leaderboard.of([far, uncertain, close, near])
    assert [one.name for one in found.entries] == ["near", "close", "uncertain", "far"]
    assert {one.other: one.tie for one in found.leads if one.text == "target"} == {
        "close": True,
        "uncertain": True,
        "far": False,
    }
    assert all(one.first == "near" for one in found.leads if one.text == "target")
    spread = near.spread("familiarity")
    assert (spread.mean, spread.smallest, spread.largest) == (1.5, 1.0, 2.0)


def test_in_a_terminal_a_row_is_a_line_of_80_columns():
    rows = [
        entry("whp_soft_paper_rules", (0.1,) * 3, (0.1,) * 3),
        entry("gradient_difference", (0.2,) * 3, (0.2,) * 3, failure="it died"),
    ]
    lines = str(to_text(Leaderboard.of(rows))).splitlines()
    assert lines[0].split("  ")[0] == "row" and max(map(len, lines)) <= 80
    assert lines[1].split() == ["whp_soft_paper_rules", "1.50", "1.5", "0.100", "0.100"]
    assert lines[2] == "gradient_difference failed"


def test_a_failed_row_has_a_sentence_and_no_number():
    found = Leaderboard.of(
        [entry("dead", (0.1,) * 3, (0.1,) * 3, failure="it died"), entry("near", (0.2,) * 3, (0.2,) * 3)]
    )
    assert found.failed and [one.name for one in found.entries] == ["near", "dead"]
    row = found.to_dict()["rows"][1]
    assert row["numbers"] == {} and row["failure"] == "seed 2: it died"
    page = to_markdown(found, speeds={"near": 1234.5}, date="2026-11-22")
    line = next(line for line in page.splitlines() if line.startswith("| `dead`"))
    assert "failed: seed 2: it died" in line and not any(c.isdigit() for c in line.partition("it died")[2])
    assert "1,234" in page and "2026-11-22" in page


def test_a_lead_that_another_seed_may_take_back_is_a_tie():
    """Texts alone would be sure of it; a bootstrap over seeds is not."""
    near, far = [[0.1] * 50] * 3, [[0.6, 0.62] * 25, [0.6, 0.62] * 25, [0.06, 0.07] * 25]
    (one,) = leads({"near": near, "far": far}, "target", 0.05)
    assert one.first == "near" and one.difference > 0.05 and one.low < 0 and one.tie
    (sure,) = leads({"near": near, "far": [*far[:2], far[0]]}, "target", 0.05)
    assert sure.low == pytest.approx(0.51, abs=0.005) == sure.high and not sure.tie
    (small,) = leads({"near": near, "far": [[0.14, 0.141] * 25] * 3}, "target", 0.05)
    assert small.low > 0 and small.tie
    (same,) = leads({"near": near, "far": near}, "target", 0.0)
    assert same.low < 0 < same.high and same.tie
    assert leads({"near": near}, "target", 0.05) == leads({}, "target", 0.05) == []


def test_a_leads_interval_covers_what_other_seeds_bring():
    """Of rows whose true lead is .1, half a seed's spread, nearly all intervals hold it; those over texts alone would not."""
    rng, inside = np.random.default_rng(5), 0
    for _ in range(40):
        zero = [np.zeros(30)] * 6
        other = [0.1 + rng.normal(0, 0.2) + rng.normal(0, 0.05, 30) for _ in range(6)]
        (one,) = leads({"a": zero, "b": other}, "target", 0.0)
        sign = 1 if one.first == "a" else -1
        inside += one.low <= sign * 0.1 <= one.high
    assert inside >= 32


def test_a_broken_row_is_marked_and_is_never_the_nearest():
    near = entry("near", (0.2, 0.21, 0.2), (0.2, 0.21, 0.2))
    noise = entry("noise", (0.0, 0.01, 0.0), (0.0, 0.01, 0.0))
    noise = replace(noise, scores=(replace(noise.scores[0], broken="noise is broken"), noise.scores[1]))
    far = entry("far", (0.9, 0.8, 0.9), (0.9, 0.8, 0.9))
    found = Leaderboard.of([noise, far, near])
    assert {(one.first, one.other) for one in found.leads} == {("near", "far")}
    page = to_markdown(found, speeds={}, date="2026-11-22")
    assert "**broken** (seed 1)" in page and "cannot be the nearest" in page
    assert found.to_dict()["rows"][0]["seeds"][0]["broken"] == "noise is broken"


def test_a_row_that_has_not_forgotten_is_not_the_nearest_on_the_rest():
    def known(one, *familiarities):
        scores = (
            replace(score, numbers={**score.numbers, "familiarity": Number(value)})
            for score, value in zip(one.scores, familiarities, strict=True)
        )
        return replace(one, scores=tuple(scores))

    idle = known(entry("idle", (0.9, 0.8, 0.9), (0.9, 0.8, 0.9)), 0.4, 0.41)
    near = known(entry("near", (0.2, 0.21, 0.2), (0.2, 0.21, 0.2)), 0.4, 0.4)
    far = known(entry("far", (0.7, 0.7, 0.7), (0.7, 0.7, 0.7)), 0.0, 0.0)
    baseline = replace(known(entry("baseline", (1.0,) * 3, (1.0,) * 3), 4.0, 4.0), setting={})
    found = Leaderboard.of([idle, far, near, baseline])
    assert found.not_forgotten == ("idle",) == tuple(found.to_dict()["not_forgotten"])
    assert {(one.first, one.other) for one in found.leads} == {("near", "far")}
    assert "familiarity is left: `idle`. A model that was not changed" in to_markdown(found, speeds={}, date="")
    assert Leaderboard.of([idle, far, near]).not_forgotten == ()


def test_a_number_that_is_none_is_a_failure_and_never_kept(tmp_path):
    with pytest.raises(ValueError, match="kl_rest that are no numbers"):
        require_finite({"kl_target": 1.0, "kl_rest": math.nan})
    with pytest.raises(ValueError, match="not JSON compliant"):
        SeedFolder(tmp_path, 1).keep(RowScore("x", 1, "", {"kl_rest": Number(math.nan)}))
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("where", ["trained", "measure"])
def test_a_row_that_fails_says_why_and_is_tried_again(tmp_path, monkeypatch, where):
    rows, folder = Rows.load(ROWS), SeedFolder(tmp_path, 1)

    def fail(*arguments, **options):
        raise RuntimeError("the model gives\nno number")

    bench = SimpleNamespace(world=board.Miniature(tmp_path, PLAN, ()), measure=fail)
    monkeypatch.setattr(board, "bench_of", lambda folder: bench)
    monkeypatch.setattr("hp_bench.experiments.training.identity_of_run", lambda *arguments: "same")
    monkeypatch.setattr(board.store, "checkpoint_at", lambda *arguments: tmp_path)
    monkeypatch.setattr(
        board, "trained", fail if where == "trained" else lambda *arguments, **options: (tmp_path, None)
    )
    score = board._measure_row(folder, "npo", rows.rows["npo"])
    assert score.failure == "RuntimeError: the model gives no number" and not score.numbers
    written = json.loads((tmp_path / "seed-1" / "rows" / "npo.json").read_text(encoding="utf-8"))
    assert written["failure"] == score.failure and folder.known("npo", "same") is None


def test_a_row_is_kept_as_long_as_it_is_made_from_the_same(tmp_path):
    folder, made = SeedFolder(tmp_path, 1), replace(score("x", 1, (0.1, 0.2, 0.3)), fingerprint="a")
    folder.keep(made)
    read = folder.known("x", "a")
    assert read.numbers == made.numbers and list(read.texts["target"]) == [0.1, 0.2, 0.3]
    assert folder.known("x", "b") is None and folder.known("y", "a") is None
    path = tmp_path / "seed-1" / "rows" / "x.json"
    path.write_text(path.read_text(encoding="utf-8")[:50], encoding="utf-8")
    assert folder.known("x", "a") is None
    found = Finding("panel", "x", 1, "a", 3, {ABOVE: ["acc of b"], NOT_NAMES: []})
    keep(folder, found)
    assert known(folder, "panel", "x", "a").found == found.found and known(folder, "panel", "x", "b") is None
    keep(folder, replace(found, failure="it died"))
    assert known(folder, "panel", "x", "a") is None


def test_a_log_cut_short_by_a_kill_loses_its_last_line_alone(tmp_path):
    lines = [{"at": "2026-11-22T01:00:00", "seed": 1, "row": "npo", "tokens_per_second": 100.0}]
    lines += [{**lines[0], "seed": 2, "tokens_per_second": 200.0}, {**lines[0], "row": "other", "at": "2027"}]
    text = "\n".join(map(json.dumps, lines)) + '\n{"at": "2028-01-01", "se'
    (tmp_path / "log.jsonl").write_text(text, encoding="utf-8")
    assert logged(tmp_path, ["npo", "rmu"], [1, 2]) == ("2026-11-22", {"npo": 150.0, "rmu": None})
    (tmp_path / "log.jsonl").write_text('{"stage": "labels", "seconds": 2.0}\n', encoding="utf-8")
    assert stage_seconds(tmp_path, "labels") == 2.0 and stage_seconds(tmp_path, "finetune") is None


def test_what_another_recipe_left_in_a_run_is_removed_as_far_as_need_be(tmp_path):
    run = tmp_path / "run"

    def make(recipe):
        for name in ("reinforced", "labels", "checkpoints", "finetune"):
            (run / name).mkdir(parents=True, exist_ok=True)
        (run / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")

    def left(recipe):
        clear_run(run, yaml.safe_dump(recipe))
        return {path.name for path in run.glob("*") if path.is_dir()}

    recipe = {"labels": {"alphas": [1]}, "finetune": {"learning_rate": 1e-4}}
    make(recipe)
    assert left(recipe) == {"reinforced", "labels", "checkpoints", "finetune"}
    assert left({**recipe, "finetune": {"learning_rate": 2e-4}}) == {"reinforced", "labels"}
    make(recipe)
    assert left({**recipe, "labels": {"alphas": [0]}}) == set()


def findings():
    for seed in (1, 2):
        yield Finding("panel", "near", seed, "", 30 + seed, {ABOVE: ["a of b"] * seed, NOT_NAMES: []})
        yield Finding(
            "stress", "near", seed, "", 40, {"8-bit": [], "4-bit": ["a of b"]}, ("4-bit",) if seed == 2 else ()
        )
        yield Finding("panel", "live", seed, "", 30 + seed, {ABOVE: [], NOT_NAMES: []})
        yield Finding("stress", "far", seed, "", failure="it | died")


def test_what_is_left_and_what_comes_back_is_a_table_of_its_own():
    entries = [entry(name, (0.1,) * 3, (0.1,) * 3) for name in ("near", "live", "far")]
    plain = Leaderboard.of(entries)
    assert (
        not plain.failed
        and "left" not in plain.to_dict()
        and "above both" not in to_markdown(plain, speeds={}, date="")
    )
    found = Leaderboard.of(entries, tuple(findings()))
    page = to_markdown(found, speeds={}, date="")
    assert "| `near` | 1 / 2 | 0 / 0 | 0 / 0 | 1 / broken |" in page
    assert "| `live` | 0 / 0 | 0 / 0 | - | - |" in page
    assert "| `far` | - | - | failed / failed | failed / failed |" in page
    assert "of 31 to 32 numbers" in page and "`far`, stress, seed 1, failed: it / died" in page
    assert found.failed and len(found.to_dict()["left"]) == 8


class Asked:
    """What `panel` asks of a bench: scorecards made by hand, of one number of knowledge."""

    def __init__(self, **cards: Scorecard) -> None:
        self._cards = cards
        self.world = SimpleNamespace(twins=[Path("twin-1"), Path("twin-2")])
        self.own = {name: Model(name, Path(name)) for name in ("baseline", "twin-1", "twin-2")}

    def panel(self, model):
        return self._cards[model.name.replace("-", "_")]


def panel_card(name: str, right: int, *, degenerate: int = 0, failures: dict | None = None) -> Scorecard:
    values = {"hp_qa": {"choice_accuracy": [1.0] * right + [0.0] * (200 - right)}}
    told = {"hp_familiarity": {"familiarity": [0.0] * 200}}
    items = {task: [f"p{number}" for number in range(200)] for task in (*values, *told)}
    measured = (
        measure("hp_qa", "choice_accuracy", values["hp_qa"]["choice_accuracy"]),
        measure("hp_familiarity", "familiarity", told["hp_familiarity"]["familiarity"], degenerate=degenerate),
    )
    tasks = {task: TaskManifest("1", 200, judge="lexicon" if task == "hp_familiarity" else "") for task in items}
    return Scorecard(name, measured, items, values | told, Manifest(name, "hf", "float32", tasks), None, failures or {})


@pytest.fixture
def asked():
    return {
        "mine": panel_card("mine", 120), "baseline": panel_card("baseline", 190),
        "twin_1": panel_card("twin-1", 50), "twin_2": panel_card("twin-2", 52),
    }  # fmt: skip


def look(cards) -> Finding:
    return panel(Asked(**cards), SeedFolder(Path("out"), 1), Model("mine", Path("mine"), 40), "id")


def test_the_panel_counts_what_is_above_both_twins(asked):
    found = look(asked)
    assert (found.asked, found.found[ABOVE], found.broken) == (1, ["choice_accuracy of hp_qa"], ())
    assert look({**asked, "mine": panel_card("mine", 51)}).found[ABOVE] == []


@pytest.mark.parametrize("name", ["mine", "baseline", "twin_1", "twin_2"])
def test_where_the_panel_failed_for_anyone_there_is_no_count(asked, name):
    asked[name] = replace(asked[name], failures={"hp_qa": "the engine died"})
    with pytest.raises(ValueError, match="the engine died"):
        look(asked)


def test_nothing_is_said_of_a_broken_model(asked):
    found = look({**asked, "mine": panel_card("mine", 40, degenerate=150)})
    assert set(found.broken) == {ABOVE, NOT_NAMES}
    page = to_markdown(Leaderboard.of([entry("mine", (0.1,) * 3)], [found]), speeds={}, date="")
    assert "| `mine` | broken | broken |" in page


def test_where_all_findings_failed_there_are_sentences_alone():
    dead = Finding("panel", "mine", 1, "id", failure="it died")
    page = to_markdown(Leaderboard.of([entry("mine", (0.1,) * 3)], [dead]), speeds={}, date="")
    assert page.count("| `mine`") == 2 and "- `mine`, panel, seed 1, failed: it died" in page


def test_the_plane_shows_every_row_that_did_not_fail_and_names_the_others(tmp_path):
    entries = [entry(f"row{n}", (0.1 * n, 0.2 * n, 0.1), (0.1, 0.1 * n, 0.1)) for n in range(1, 20)]
    entries.append(entry("dead", (0.1,) * 3, (0.1,) * 3, failure="it died"))
    entries.append(replace(entry("twin-1", (0.05,) * 3, (0.01,) * 3), label="twin 1", setting={}))
    found = Leaderboard.of(entries)
    for name in ("plane.svg", "plane.png", "again.svg"):
        save_figure(draw_board(found), tmp_path / name)
    svg = (tmp_path / "plane.svg").read_text(encoding="utf-8")
    for one in entries:
        assert one.name in svg or one.label in svg
    assert "dead  (failed, not drawn)" in svg and "seeds 1, 2" in svg
    assert (tmp_path / "again.svg").read_text(encoding="utf-8") == svg
    assert (tmp_path / "plane.png").read_bytes().startswith(b"\x89PNG")


def test_the_plane_of_one_row_and_one_seed_is_drawn(tmp_path):
    save_figure(draw_board(Leaderboard.of([entry("alone", (0.1,) * 3)])), tmp_path / "plane.svg")
    assert "alone" in (tmp_path / "plane.svg").read_text(encoding="utf-8")
