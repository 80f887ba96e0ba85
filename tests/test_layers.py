"""Which package imports which; importing is light; every command has help; the repository names no place it was made in."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: The only modules of hp_bench that may import unlearn.
COMPOSITIONS = {ROOT / "hp_bench" / name for name in ("demo.py", "leaderboard.py", "leaderboard_runs.py")}


def imported(path):
    """Packages that a module imports, wherever in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))


def modules(package):
    found = sorted((ROOT / package).rglob("*.py"))
    assert len(found) > 20
    return found


def test_unlearn_knows_nothing_of_the_benchmark():
    for path in modules("unlearn"):
        guilty = [name for name in imported(path) if name.split(".")[0] in ("hp_bench", "lm_eval")]
        assert not guilty, f"{path.relative_to(ROOT)} imports {guilty}"


def test_only_the_compositions_import_unlearn():
    users = {path for path in modules("hp_bench") if any(n.split(".")[0] == "unlearn" for n in imported(path))}
    assert users == COMPOSITIONS


def test_no_module_is_long_or_named_for_nothing():
    for path in [*modules("hp_bench"), *modules("unlearn")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path
        assert not re.fullmatch(r"(utils?|helpers?|common|base|core|manager)\.py", path.name), path


@pytest.mark.parametrize("package", ["hp_bench", "unlearn"])
def test_no_public_name_is_a_submodule_and_every_one_is_there(package):
    module = __import__(package)
    names = [name for name in module.__all__ if not name.startswith("__")]
    submodules = {path.stem for path in (ROOT / package).iterdir()}
    assert names and not set(names) & submodules
    for name in names:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'; public names"):
        _ = module.nonsense


@pytest.mark.parametrize("command", ["import hp_bench", "import unlearn", "import hp_bench.cli", "import unlearn.cli"])
def test_importing_is_light(command):
    code = f"{command}; import sys; print([m for m in ('torch', 'transformers', 'lm_eval', 'scipy', 'matplotlib', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("program", ["hp_bench", "unlearn"])
def test_help_lists_every_command_and_a_wrong_one_is_a_users_mistake(program):
    done = subprocess.run([sys.executable, "-m", program, "--help"], capture_output=True, text=True, check=True)
    wanted = {"hp_bench": ("demo", "report", "tasks"), "unlearn": ("run", "reinforce", "label", "finetune", "anchors")}[
        program
    ]
    for command in wanted:
        assert re.search(rf"\b{command}\b", done.stdout)
    wrong = subprocess.run([sys.executable, "-m", program, "nonsense"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "nonsense" in wrong.stderr and "Traceback" not in wrong.stderr


def test_links_in_the_documents_lead_somewhere():
    for page in [
        ROOT / "README.md",
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("*/README.md"),
        ROOT / "CONTRIBUTING.md",
    ]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
