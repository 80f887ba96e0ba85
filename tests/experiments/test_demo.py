"""The demo from end to end in a world of a few steps, twice the same; its report in Chromium."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from hp_bench.experiments.demo import HARD, SOFT, run_demo
from hp_bench.miniature import Settings
from hp_bench.report.run import read_story

pytestmark = pytest.mark.slow

SMALL = Settings(
    worlds=60, famous=8, target_stories=60, held_out=20, width=64, layers=2, inner=64, steps=60, rest_rows=4, warmup=5
)
QUICK = ("finetune.max_steps=2", "finetune.save_every=2", "labels.batch_blocks=8")
PHONE, DESKTOP = 390, 1280


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo") / "run", seed=3, twins=2, overrides=QUICK, settings=SMALL)


def numbers(demo):
    cards = [*(card for cards in demo.curves.values() for card in cards), *demo.twins, *demo.prompts]
    return [(card.name, card.step, card.measurements, card.values) for card in cards]


def test_every_checkpoint_of_both_methods_is_scored_on_every_task(made):
    assert {name: [card.step for card in cards] for name, cards in made.curves.items()} == {
        HARD: [0, 2],
        SOFT: [0, 2],
    }
    tasks = {"hp_miniature_familiarity", "hp_miniature_token_probability", "hp_miniature_utility", "hp_miniature_rest"}
    for cards in made.curves.values():
        for card in cards:
            assert set(card.items) == tasks and not card.failed
    assert [card.name for card in made.twins] == ["twin-1", "twin-2"]
    assert {m.task for card in made.prompts for m in card.measurements} == {"hp_familiarity", "hp_token_probability"}
    assert {(d.name, d.text) for d in made.distances} == {
        (n, t) for n in ("baseline", HARD, SOFT) for t in ("target", "rest")
    }
    for distance in made.distances:
        assert (
            distance.value == pytest.approx(distance.raw - distance.between_twins)
            and distance.low < distance.value < distance.high
        )
    assert all(made.seconds[stage] >= 0 for stage in made.seconds)


def test_two_runs_with_one_seed_give_the_same_numbers_and_the_same_pictures(made, tmp_path):
    again = run_demo(tmp_path / "again", seed=3, twins=2, overrides=QUICK, settings=SMALL)
    assert numbers(again) == numbers(made)
    assert again.distances == made.distances
    for file in ("curve.svg", "curve.png", "plane.svg", "story.json"):
        assert (again.out / file).read_bytes() == (made.out / file).read_bytes()


def test_run_again_nothing_is_made_anew(made):
    weights = sorted(made.out.rglob("*.safetensors"))
    cards = sorted(made.out.rglob("scorecards/**/*.json"))
    before = {path: path.stat().st_mtime_ns for path in (*weights, *cards)}
    again = run_demo(made.out, seed=3, twins=2, overrides=QUICK, settings=SMALL)
    assert weights and cards and {path: path.stat().st_mtime_ns for path in before} == before
    assert numbers(again) == numbers(made)


def test_other_settings_in_the_same_folder_are_refused_by_name(made):
    with pytest.raises(ValueError, match="holds another miniature.*seed: 3 against 4"):
        run_demo(made.out, seed=4, overrides=QUICK, settings=SMALL)
    with pytest.raises(ValueError, match="was made from other inputs"):
        run_demo(made.out, seed=3, twins=2, overrides=("finetune.max_steps=3", *QUICK[1:]), settings=SMALL)


def test_the_command_prints_tables_and_the_same_numbers_as_json(made):
    """`hp-bench report` on what the demo left, and the demo's own JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "hp_bench", "report", str(made.out), "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [path.rsplit("/", 1)[1] for path in json.loads(done.stdout)] == [
        "curve.png",
        "curve.svg",
        "plane.png",
        "plane.svg",
        "report.html",
    ]
    wrong = subprocess.run(
        [sys.executable, "-m", "hp_bench", "demo", "--target", "narnia"], capture_output=True, text=True
    )
    assert wrong.returncode == 2 and "unknown target 'narnia'" in wrong.stderr and "Traceback" not in wrong.stderr


def test_a_wrong_recipe_key_is_said_before_anything_is_trained(tmp_path):
    with pytest.raises(ValueError, match="unknown key 'nonsense'"):
        run_demo(tmp_path / "run", overrides=("nonsense=1",))
    assert not (tmp_path / "run").exists()


def test_the_report_needs_no_other_file(made):
    page = (made.out / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page) and "@import" not in page and "<script" not in page
    story = read_story(made.out)
    for twin in story.twins:
        assert twin.name in page
    assert page.count("<svg") == 6


def browser():
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "no Chromium: `make test-slow` installs it"
    return [found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_report_fits_a_phone_and_a_desktop_in_chromium(made, tmp_path, width):
    """Nothing is wider than the window; the curve is drawn; a picture comes out."""
    page = (made.out / "report.html").read_text(encoding="utf-8")
    measure = (
        "<script>const shown = [...document.querySelectorAll('.figure')].map(f => f.getBoundingClientRect());"
        "const f = shown.find(box => box.width > 0);"
        "document.title = JSON.stringify([document.documentElement.scrollWidth, f.width, f.height]);</script>"
    )
    framed = tmp_path / "frame.html"  # headless Chromium has a least window width; a frame has none
    (tmp_path / "page.html").write_text(page.replace("</body>", measure + "</body>"), encoding="utf-8")
    framed.write_text(
        f"<iframe id=p src=page.html style='width:{width}px;height:4000px;border:0'></iframe>"
        "<script>p.onload = () => { document.title = p.contentDocument.title; };</script>"
    )
    flags = ["--allow-file-access-from-files", "--virtual-time-budget=5000"]
    dom = subprocess.run(
        [*browser(), *flags, "--dump-dom", f"file://{framed}"], capture_output=True, text=True, check=True
    ).stdout
    scroll, figure_width, figure_height = json.loads(re.search(r"<title>(.*?)</title>", dom).group(1))
    assert scroll <= width
    assert 0.7 * min(width, 1000) < figure_width <= width and figure_height > 0.3 * figure_width
    picture = tmp_path / "page.png"
    subprocess.run(
        [*browser(), f"--window-size={max(width, 500)},3000", f"--screenshot={picture}", f"file://{made.out / 'report.html'}"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 50_000
