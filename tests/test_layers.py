"""Which package imports which; importing is light; every command has help; the repository names no place it was made in."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Modules of `unlearn` that import nothing heavy, which hp_bench may use anywhere.
SMALL = {
    f"unlearn.{name}"
    for name in (
        "files",
        "exits",
        "progress",
        "chat",
        "cpu",
        "anchors.dictionary",
        "corpus.books",
        "corpus.lines",
    )
}

#: Folder -> the folders that it may import, beside itself, `SMALL` and the version number of `hp_bench`. No folder below one imports it back.
MAY_IMPORT = {
    "hp_bench/commands": "curves engines experiments judges probes report results scoring stress text progress",
    "hp_bench/experiments": "miniature stress report scoring results engines probes unlearn",
    "hp_bench/miniature": "harness scoring probes text",
    "hp_bench/harness": "judges engines probes results text",
    "hp_bench/curves": "report judges scoring engines results",
    "hp_bench/report": "stress judges scoring results text",
    "hp_bench/stress": "scoring engines results probes text",
    "hp_bench/judges": "scoring engines results probes text progress",
    "hp_bench/scoring": "engines results probes progress",
    "hp_bench/engines": "text",
    "hp_bench/probes": "results text",
    "hp_bench/results": "",
    "hp_bench/text": "",
    "unlearn/methods": "pipeline training labels corpus",
    "unlearn/pipeline": "training labels anchors corpus",
    "unlearn/training": "labels corpus",
    "unlearn/labels": "anchors corpus",
    "unlearn/anchors": "corpus",
    "unlearn/corpus": "",
}


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules(package):
    """Dotted name -> file."""
    found = {module_name(path): path for path in sorted((ROOT / package).rglob("*.py"))}
    assert len(found) > 20
    return found


def imported(path, known=()):
    """Modules that a module imports, wherever in it: lazily or for types alone, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))


@pytest.fixture(scope="module")
def arrows():
    """Module -> the modules of ours that it imports."""
    known = {**modules("hp_bench"), **modules("unlearn")}
    return {
        name: {one for one in imported(path, known) if one in known and one != name} for name, path in known.items()
    }


def test_unlearn_knows_nothing_of_the_benchmark():
    for name, path in modules("unlearn").items():
        guilty = [one for one in imported(path) if one.split(".")[0] in ("hp_bench", "lm_eval")]
        assert not guilty, f"{name} imports {guilty}"


def test_no_module_imports_itself_by_way_of_others(arrows):
    """Takes away modules that import nothing that is left; what cannot be taken away is a circle, or leads to one."""
    left = dict(arrows)
    while free := [name for name, used in left.items() if not used & set(left)]:
        for name in free:
            del left[name]
    assert not left, f"a circle among {sorted(left)}"


def test_every_folder_imports_only_what_the_table_says(arrows):
    def folder(name):
        package, _, rest = name.partition(".")
        return f"{package}/{rest.split('.')[0]}" if (ROOT / package / rest.split(".")[0]).is_dir() and rest else name

    for name, used in arrows.items():
        here = folder(name)
        if here not in MAY_IMPORT:
            continue  # the loose modules: a package's own door, and what is small
        package = here.split("/")[0]
        allowed = {f"hp_bench/{one}" for one in MAY_IMPORT[here].split()} | {
            f"unlearn/{one}" for one in MAY_IMPORT[here].split()
        }
        for one in used:
            there = folder(one)
            fine = (
                there in allowed
                or there == here
                or one in SMALL
                or one in ("hp_bench", "hp_bench.progress", "hp_bench.workers")
            )
            fine |= package == "unlearn" and there not in MAY_IMPORT
            fine |= one.split(".")[0] == "unlearn" and "unlearn" in MAY_IMPORT[here].split()
            assert fine, f"{name} imports {one}: {here} may import {MAY_IMPORT[here] or 'no other folder'}"


def test_the_table_has_no_circle_and_every_folder():
    folders = {
        f"{package}/{path.name}"
        for package in ("hp_bench", "unlearn")
        for path in (ROOT / package).iterdir()
        if any(path.glob("*.py"))
    }
    assert folders == set(MAY_IMPORT)
    left = {here: {f"{here.split('/')[0]}/{one}" for one in names.split()} for here, names in MAY_IMPORT.items()}
    while free := [here for here, names in left.items() if not names & set(left)]:
        for here in free:
            del left[here]
    assert not left


def test_a_stranger_finds_the_room():
    """Few loose modules, no crowded folder, no name that says nothing."""
    for package, loose in (("hp_bench", 8), ("unlearn", 14)):
        assert len(list((ROOT / package).glob("*.py"))) <= loose
        for name, path in modules(package).items():
            assert len(list(path.parent.glob("*.py"))) <= 16, path.parent
            assert not re.fullmatch(r"(utils?|helpers?|common|base|core|manager)\.py", path.name), name


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
