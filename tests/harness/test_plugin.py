"""The start-up shim adds our tasks to lm-eval's, stands down when it should, and can never break its host."""

import os
import pkgutil
import shutil
import subprocess
import sys
import types
from pathlib import Path

import lm_eval.tasks._index
import lm_eval.tasks.manager
import pytest
from lm_eval.tasks import TaskManager

import hp_bench
from hp_bench.harness import _autoload
from hp_bench.probes.paths import tasks_dir

ROOT = Path(hp_bench.__file__).parents[1]
PTH = ROOT / "packaging" / "hp_bench_autoload.pth"
FAKE_INDEX = (
    "class TaskIndex:\n    @staticmethod\n    def build(paths, *, resolve_includes=True):\n        return list(paths)\n"
)
REPORT = "import sys; from lm_eval.tasks._index import TaskIndex; print(TaskIndex.build(sys.argv[1:]))"


def fake_index(folder: Path) -> types.ModuleType:
    """A module like lm-eval's, whose `build` returns the paths it was given."""
    module = types.ModuleType("fake_index")
    module.__file__ = str(folder / "_index.py")
    exec(FAKE_INDEX, vars(module))
    return module


@pytest.fixture
def defaults(tmp_path) -> Path:
    folder = tmp_path / "lm_eval" / "tasks"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def build(defaults):
    module = fake_index(defaults)
    _autoload._wrap(module)
    return module.TaskIndex.build


def test_our_folder_comes_right_behind_the_hosts_own(build, defaults, tmp_path):
    assert build([defaults]) == [defaults, tasks_dir()]
    assert build([defaults, tmp_path]) == [defaults, tasks_dir(), tmp_path]
    assert build(iter([defaults]), resolve_includes=False) == [defaults, tasks_dir()]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("given", [tasks_dir(), tasks_dir().parent], ids=["our folder", "a folder around it"])
def test_it_stands_down_when_the_paths_hold_our_tasks_already(build, defaults, given):
    assert build([defaults, given]) == [defaults, given]
    assert build([defaults, str(given)]) == [defaults, str(given)]


@pytest.mark.filterwarnings("error")
def test_it_stands_down_when_the_hosts_own_tasks_were_not_asked_for(build, tmp_path):
    assert build([tmp_path]) == [tmp_path]
    assert build([]) == []


def test_it_wraps_once_however_often_it_is_asked(defaults):
    module = fake_index(defaults)
    for _ in range(3):
        _autoload._wrap(module)
    assert module.TaskIndex.build([defaults]) == [defaults, tasks_dir()]


def test_an_error_while_adding_is_a_warning_and_the_host_goes_on(build, defaults, monkeypatch):
    def broken():
        raise FileNotFoundError("no tasks here")

    monkeypatch.setattr("hp_bench.probes.paths.tasks_dir", broken)
    with pytest.warns(
        UserWarning, match=r'could not register its tasks .*no tasks here.*--include_path "\$\(hp-bench tasks --path\)"'
    ):
        assert build([defaults]) == [defaults]


def test_a_host_that_changed_is_a_warning_and_is_left_alone():
    module = types.ModuleType("changed")
    with pytest.warns(UserWarning, match="could not register its tasks"):
        _autoload._wrap(module)
    assert not hasattr(module, "TaskIndex")


@pytest.fixture
def small_host(defaults, monkeypatch):
    """The real lm-eval with the shim, its 14,000 own task files replaced by none."""
    monkeypatch.setattr(lm_eval.tasks.manager, "__file__", str(defaults / "manager.py"))
    monkeypatch.setattr(lm_eval.tasks._index, "__file__", str(defaults / "_index.py"))
    original = lm_eval.tasks._index.TaskIndex.build
    _autoload.install()
    yield
    lm_eval.tasks._index.TaskIndex.build = staticmethod(original)


def test_the_real_task_manager_finds_our_tasks(small_host):
    manager = TaskManager()
    assert {"hp_familiarity", "hp_token_probability", "hp_utility", "hp_bench"} <= set(manager.all_tasks)
    assert manager.all_tags == ["hp_bench", "hp_languages", "hp_panel", "hp_panel_files"]
    assert TaskManager(include_defaults=False).all_tasks == []


def test_a_users_own_task_of_the_same_name_wins(small_host, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.yaml").write_text("task: hp_familiarity\ndataset_path: json\noutput_type: generate_until\n")
    index = TaskManager(include_path=str(own)).task_index
    assert index["hp_familiarity"].yaml_path == own / "mine.yaml"
    assert index["hp_token_probability"].yaml_path == tasks_dir() / "hp_token_probability.yaml"


def python(*arguments: str, path: list[Path], **environment: str) -> subprocess.CompletedProcess:
    """A fresh interpreter without site-packages and current folder: nothing but `path` is there to import."""
    clean = {key: value for key, value in os.environ.items() if key != _autoload._OFF}
    variables = {**clean, "PYTHONPATH": os.pathsep.join(map(str, path)), **environment}
    return subprocess.run(
        [sys.executable, "-S", "-P", *arguments], env=variables, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def host(defaults, tmp_path) -> Path:
    """A folder with an lm_eval of three empty files but for the fake index."""
    for folder in (defaults.parent, defaults):
        (folder / "__init__.py").write_text("")
    (defaults / "_index.py").write_text(FAKE_INDEX)
    return tmp_path


def test_the_pth_line_alone_makes_a_fresh_interpreter_find_our_tasks(host, defaults):
    found = python("-c", PTH.read_text() + "\n" + REPORT, str(defaults), path=[host, ROOT])
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == repr([str(defaults), tasks_dir()])
    assert found.stderr == ""


#: A stand-in for the mechanism that lm-eval is to have (its PR #4015): the folder of every package that an entry point names is scanned.
NATIVE = """
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from lm_eval.tasks._index import TaskIndex
packages = {entry.value for entry in entry_points(group="lm_eval.tasks")}
print(TaskIndex.build([*sys.argv[1:], *(find_spec(package).submodule_search_locations[0] for package in packages)]))
"""


def distribution(site: Path) -> Path:
    """What tells Python of our entry point: the metadata of an installation, in `site`."""
    info = site / "hp_bench-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hp-bench\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[lm_eval.tasks]\nhp_bench = hp_bench\n")
    return site


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_it_stands_down_where_lm_eval_finds_tasks_by_entry_point_itself(host, defaults, tmp_path, kind):
    """A wheel's tasks lie in the package that lm-eval scans: nothing is added. An editable install's lie beside it: they are, once."""
    site = distribution(tmp_path / "site")
    path, package = [host, site, ROOT], ROOT / "hp_bench"
    if kind == "wheel":  # as packaging/hatch_build.py lays it out
        package = site / "hp_bench"
        shutil.copytree(ROOT / "unlearn", site / "unlearn", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "hp_bench", package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(tasks_dir(), package / "tasks")
        shutil.copytree(ROOT / "prompts", package / "prompts")
        path = [host, site]
    found = python("-c", PTH.read_text() + "\n" + NATIVE, str(defaults), path=path)
    assert (found.returncode, found.stderr) == (0, "")
    ours = [] if kind == "wheel" else [tasks_dir()]
    assert found.stdout.strip() == repr([str(defaults), *ours, str(package)])


def test_the_environment_variable_switches_it_off(host, defaults):
    found = python("-c", PTH.read_text() + "\n" + REPORT, str(defaults), path=[host, ROOT], HP_BENCH_NO_AUTOLOAD="1")
    assert found.stdout.strip() == repr([str(defaults)])


@pytest.mark.parametrize("broken", ["raise RuntimeError('half installed')", "import no_such_module"])
def test_a_broken_installation_is_a_line_on_stderr_and_not_a_broken_interpreter(host, defaults, broken, tmp_path):
    package = tmp_path / "broken" / "hp_bench"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(broken)
    found = python("-c", PTH.read_text() + "\n" + REPORT, str(defaults), path=[package.parent, host])
    assert found.returncode == 0
    assert found.stdout.strip() == repr([str(defaults)])
    assert "hp-bench: its tasks are not registered with lm-eval" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_the_pth_is_one_line_as_site_wants_it():
    assert PTH.read_text().startswith("import ")
    assert len(PTH.read_text().splitlines()) == 1


def test_starting_an_interpreter_with_it_imports_nothing_else(host):
    """What a `.pth` costs, every program of the environment pays: three empty modules of ours and no other."""
    code = (
        "import os, sys; before = set(sys.modules)  # os: every start-up has it\n"
        + PTH.read_text()
        + "\nprint(*sorted(set(sys.modules) - before))"
    )
    new = python("-c", code, path=[ROOT]).stdout.split()
    assert [name for name in new if not name.startswith("hp_bench")] in ([], ["__future__"])
    assert {"hp_bench", "hp_bench.harness", "hp_bench.harness._autoload"} == {
        n for n in new if n.startswith("hp_bench")
    }


def test_importing_the_package_is_free():
    heavy = "{'torch', 'numpy', 'scipy', 'pydantic', 'lm_eval', 'transformers', 'datasets', 'typing', 'dataclasses', 'logging'}"
    code = f"import sys; import hp_bench; print(sorted({heavy} & set(sys.modules)), hp_bench.__version__)"
    found = python("-c", code, path=[ROOT])
    assert found.stdout.split("]")[0] == "[", found.stdout + found.stderr


def test_every_public_name_is_there_and_none_is_a_submodules():
    for name in hp_bench.__all__:
        assert getattr(hp_bench, name) is not None
    assert not {module.name for module in pkgutil.iter_modules(hp_bench.__path__)} & set(hp_bench.__all__)
    assert set(hp_bench.__all__) <= set(dir(hp_bench))
    with pytest.raises(AttributeError, match="has no attribute 'scores'; public names: .*score"):
        _ = hp_bench.scores
