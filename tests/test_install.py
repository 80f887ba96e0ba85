"""Installed as users install it: wheel, sdist, editable, beside an editable lm_eval; found from any folder, gone after uninstall.

Every environment is fresh and holds only us; the dependencies of this one are lent to it, through a folder of links without ourselves.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest
import tiny

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SITE = Path(sysconfig.get_paths()["purelib"])
FIND = """
import json, logging, sys
from importlib.metadata import entry_points
from pathlib import Path
import lm_eval.tasks
from lm_eval.tasks import TaskManager
records = []
handler = logging.Handler()
handler.emit = lambda record: records.append(record.getMessage())
logging.getLogger("lm_eval").addHandler(handler)
index = TaskManager().task_index
import hp_bench
found = {
    "index": {name: str(entry.yaml_path) for name, entry in index.items() if name.startswith("hp_")},
    "package": hp_bench.__file__,
    "host": lm_eval.tasks.__file__,
    "entry_points": [entry.value for entry in entry_points(group="lm_eval.tasks")],
    "warnings": [text for text in records if "hp_" in text],
}
print(json.dumps(found))
"""


def copy_host(folder: Path) -> None:
    """lm_eval as it is installed, with the few task folders that ours build on: indexing all of them takes ten seconds a time."""
    few = {"piqa", "winogrande", "hellaswag", "arc", "openbookqa", "super_glue"}
    tasks = SITE / "lm_eval" / "tasks"
    others = {path.name for path in tasks.iterdir() if path.is_dir()} - few

    def left_out(place: str, names: list[str]) -> set[str]:
        return (others if Path(place) == tasks else set()) | {"__pycache__"}

    shutil.copytree(SITE / "lm_eval", folder, ignore=left_out)


class Environment:
    """A fresh virtual environment that is lent this one's dependencies; `host`: all of lm_eval, a few of its tasks, or none of it."""

    def __init__(self, folder: Path, *, host: Literal["whole", "few", "none"] = "few") -> None:
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir(parents=True)
        lent = folder / "lent" / "site-packages"  # by that name dill takes what is in it for installed
        lent.mkdir(parents=True)
        hidden = ("hp_bench", "_editable_impl_hp_bench", "unlearn")
        for entry in SITE.iterdir():
            if not entry.name.startswith(hidden if host == "whole" else (*hidden, "lm_eval")):
                (lent / entry.name).symlink_to(entry)
        if host == "few":
            copy_host(lent / "lm_eval")
            (info,) = SITE.glob("lm_eval-*.dist-info")
            (lent / info.name).symlink_to(info)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        self.python = folder / "venv" / "bin" / "python"
        (self.site,) = (folder / "venv").glob("lib/python*/site-packages")
        (self.site / "lent.pth").write_text(f"{lent}\n")

    def run(self, *arguments: object, check: bool = True, **variables: str) -> subprocess.CompletedProcess:
        """Runs its Python in a folder that has nothing to do with the checkout."""
        clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "HP_BENCH_NO_AUTOLOAD")}
        done = subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=self.elsewhere, env={**clean, **variables}, capture_output=True, text=True,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def pip(self, *arguments: object) -> None:
        """This environment's pip, working on that one; nothing is downloaded."""
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", self.python]
        done = subprocess.run([*command, *map(str, arguments)], cwd=self.elsewhere, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def install(self, *what: object) -> None:
        self.pip("install", "--no-index", "--no-deps", "--no-build-isolation", *what)

    def found(self) -> dict:
        done = self.run("-c", FIND)
        assert "hp-bench:" not in done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def files(self) -> set[str]:
        """What lies in its site-packages, byte code aside."""
        paths = (path.relative_to(self.site) for path in self.site.rglob("*") if path.is_file())
        return {str(path) for path in paths if path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the sdist and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(built) -> Path:
    (path,) = built.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Environment:
    """An environment with the wheel, for the tests that do not change it."""
    environment = Environment(tmp_path_factory.mktemp("wheel"))
    environment.install(wheel)
    return environment


@pytest.fixture(scope="module")
def complete(wheel, tmp_path_factory) -> Environment:
    """The same beside all 14,000 of lm_eval's task names."""
    environment = Environment(tmp_path_factory.mktemp("complete"), host="whole")
    environment.install(wheel)
    return environment


def names_of(folder: str) -> set[str]:
    return {str(path.relative_to(ROOT / folder)) for path in (ROOT / folder).rglob("*") if path.is_file()}


def test_the_wheel_holds_the_data_where_the_packages_look_for_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for folder, target in (
        ("tasks", "hp_bench/tasks"),
        ("prompts", "hp_bench/prompts"),
        ("recipes", "unlearn/recipes"),
    ):
        assert names_of(folder) == {n.removeprefix(f"{target}/") for n in names if n.startswith(f"{target}/")}
    assert {"unlearn/prompts/anchors.txt", "hp_bench/constraints/tested.txt"} <= set(names)
    assert {"unlearn/anchors/english.toml", "unlearn/anchors/contrast/translations.toml"} <= set(names)
    assert {f"hp_bench/miniature/{name}.json" for name in ("names", "world", "stories")} <= set(names)
    assert "hp_bench_autoload.pth" in names
    assert len(names) == len(set(names))


def test_the_wheel_holds_nothing_of_others_and_no_yaml_beside_the_tasks(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    assert {name.split("/")[0] for name in names} == {"hp_bench", "unlearn", "hp_bench_autoload.pth", info}
    yaml = {name for name in names if name.endswith((".yaml", ".yml"))}
    assert all(name.startswith(("hp_bench/tasks/", "unlearn/recipes/")) for name in yaml)


def test_the_sdist_holds_what_a_build_and_the_tests_need(sdist):
    with tarfile.open(sdist) as archive:
        names = {"/".join(name.split("/")[1:]) for name in archive.getnames()}
    needed = {
        "pyproject.toml",
        "packaging/hatch_build.py",
        "packaging/hp_bench_autoload.pth",
        "tests/conftest.py",
        "constraints/tested.txt",
        "README.md",
    }
    assert needed <= names
    for folder in ("tasks", "prompts", "recipes"):
        assert {f"{folder}/{name}" for name in names_of(folder)} <= names
    assert not [name for name in names if name.startswith((".venv", "runs", ".git/"))]


def assert_found(found: dict, tasks: Path) -> None:
    assert set(found["index"]) >= {
        "hp_bench",
        "hp_familiarity",
        "hp_token_probability",
        "hp_utility",
        "hp_panel",
        "hp_qa",
    }
    assert found["index"]["hp_familiarity"] == str(tasks / "hp_familiarity.yaml")
    assert "hp_bench" in found["entry_points"]
    assert found["warnings"] == []


def test_a_wheel_is_found(complete):
    found = complete.found()
    assert Path(found["package"]).is_relative_to(complete.site)
    assert_found(found, complete.site / "hp_bench" / "tasks")


#: A stand-in for lm-eval's PR #4015 over the real lm-eval: the folder of every package that an entry point names is scanned, too.
NATIVE = """
import lm_eval.tasks.manager as manager
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
hooked = manager.TaskIndex.build
def build(paths, **options):
    packages = {entry.value for entry in entry_points(group="lm_eval.tasks")}
    folders = [Path(find_spec(package).submodule_search_locations[0]) for package in packages]
    return hooked([*paths, *folders], **options)
manager.TaskIndex.build = staticmethod(build)
"""


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_where_lm_eval_scans_entry_points_itself_every_task_is_found_once(installed, tmp_path, kind):
    environment = installed
    if kind == "editable":
        environment = Environment(tmp_path / "env")
        environment.install("--editable", ROOT)
    done = environment.run("-c", NATIVE + FIND)
    assert "overrides" not in done.stderr
    tasks = ROOT / "tasks" if kind == "editable" else environment.site / "hp_bench" / "tasks"
    assert_found(json.loads(done.stdout.splitlines()[-1]), tasks)
    without = environment.run("-c", NATIVE + FIND, HP_BENCH_NO_AUTOLOAD="1").stdout
    assert bool(json.loads(without.splitlines()[-1])["index"]) == (kind == "wheel")


def test_lm_eval_lists_and_validates_our_tasks(complete):
    listed = complete.run("-m", "lm_eval", "ls", "tasks").stdout.replace(" ", "")
    assert all(f"|{name}|" in listed for name in ("hp_bench", "hp_familiarity", "hp_token_probability", "hp_utility"))
    validated = complete.run("-m", "lm_eval", "validate", "--tasks", "hp_bench,hp_utility").stdout
    assert "All tasks found and valid" in validated


def test_plain_lm_eval_scores_a_model_from_another_folder(installed, tmp_path):
    model = tiny.save(tmp_path / "model")
    done = installed.run(
        *("-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={model}", "--device", "cpu"),
        *("--tasks", "hp_bench,hp_familiarity", "--limit", "3", "--batch_size", "8"),
        *("--output_path", tmp_path / "out", "--log_samples"),
    )
    (path,) = (tmp_path / "out").rglob("results_*.json")
    results = json.loads(path.read_text())["results"]
    assert results["hp_familiarity"]["unscored,none"] == 0
    assert 0 <= results["hp_familiarity"]["familiarity,none"] <= 5
    assert 0 < results["hp_token_probability"]["token_probability,none"] < 1
    assert "hp_familiarity" in done.stdout
    assert len(list((tmp_path / "out").rglob("samples_*.jsonl"))) == 2


def test_a_metadata_folder_is_another_target_on_the_command_line(installed, tmp_path):
    model = tiny.save(tmp_path / "model")
    probe = {"id": "q", "prompt": "The town with the long pier is", "references": ["Port Ansel"], "kind": "partial"}
    (tmp_path / "familiarity.jsonl").write_text(json.dumps({**probe, "subtlety": 3, "topic": "places"}) + "\n")
    common = ("-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={model}", "--device", "cpu")
    installed.run(
        *common, "--tasks", "hp_familiarity", "--metadata", f"prompts={tmp_path}", "--output_path", tmp_path / "out"
    )
    (path,) = (tmp_path / "out").rglob("results_*.json")
    assert json.loads(path.read_text())["n-samples"]["hp_familiarity"]["original"] == 1
    failed = installed.run(*common, "--tasks", "hp_familiarity", "--metadata", "prompts=nowhere", check=False)
    assert failed.returncode != 0
    assert "ValueError: hp_familiarity: prompts='nowhere' is neither a prompt file nor a folder" in failed.stderr


def test_an_sdist_is_found(sdist, tmp_path):
    environment = Environment(tmp_path / "env")
    environment.install(sdist)
    assert_found(environment.found(), environment.site / "hp_bench" / "tasks")


def test_an_editable_install_is_found_and_leaves_no_copies_behind(tmp_path):
    environment = Environment(tmp_path / "env")
    environment.install("--editable", ROOT)
    found = environment.found()
    assert_found(found, ROOT / "tasks")
    assert Path(found["package"]).is_relative_to(ROOT)
    assert not [name for name in environment.files() if name.endswith((".yaml", ".jsonl"))]
    assert not (environment.site / "hp_bench").exists()


@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_after_uninstall_nothing_of_ours_is_left_and_lm_eval_works(wheel, tmp_path, editable):
    environment = Environment(tmp_path / "env")
    before = environment.files()
    environment.install(*(("--editable", ROOT) if editable else (wheel,)))
    assert environment.files() > before
    environment.pip("uninstall", "--yes", "hp-bench")
    assert environment.files() == before
    code = "import lm_eval; from lm_eval.tasks import TaskManager; from lm_eval import simple_evaluate; print('works')"
    done = environment.run("-W", "error", "-c", code, check=False)
    assert "works" in done.stdout
    assert "hp-bench" not in done.stderr
    assert environment.run("-c", "import hp_bench", check=False).returncode != 0


def test_an_editable_lm_eval_keeps_working_and_finds_our_tasks(wheel, tmp_path):
    """Where shipping YAML into lm_eval/ would have broken every run."""
    source = tmp_path / "lm-evaluation-harness"
    copy_host(source / "lm_eval")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "lm_eval"\nversion = "0.4.13"\n[tool.hatch.build.targets.wheel]\npackages = ["lm_eval"]\n'
    )
    environment = Environment(tmp_path / "env", host="none")
    environment.install("--editable", source)
    environment.install(wheel)
    found = environment.found()
    assert Path(found["host"]).is_relative_to(source)
    assert_found(found, environment.site / "hp_bench" / "tasks")
    environment.run("-c", "from lm_eval import simple_evaluate")
    environment.pip("uninstall", "--yes", "hp-bench")
    environment.run("-c", "from lm_eval import simple_evaluate; from lm_eval.tasks import TaskManager; TaskManager()")
