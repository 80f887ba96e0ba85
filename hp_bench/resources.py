"""Where the task and prompt files are: beside the package in a wheel, in the parent folder in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def tasks_dir() -> Path:
    """Folder of the lm-eval task files, what `lm_eval --include_path` takes."""
    return _find("tasks", "hp_familiarity.yaml")


def prompts_dir() -> Path:
    """Folder of the prompt, lexicon and judge files."""
    return _find("prompts", "familiarity.jsonl")


def _find(name: str, witness: str) -> Path:
    for parent in (_PACKAGE, _PACKAGE.parent):
        if (parent / name / witness).is_file():
            return parent / name
    raise FileNotFoundError(
        f"{name}/{witness} is neither in {_PACKAGE} nor in {_PACKAGE.parent}: the installation is incomplete"
    )
