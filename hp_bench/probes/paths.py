"""Where the task and prompt files are: in the package in a wheel, beside it in a checkout."""

from pathlib import Path

from unlearn.files import packaged

_PACKAGE = Path(__file__).resolve().parents[1]


def tasks_dir() -> Path:
    """Folder of the lm-eval task files, what `lm_eval --include_path` takes."""
    return packaged(_PACKAGE, "tasks/hp_familiarity.yaml").parent


def prompts_dir() -> Path:
    """Folder of the prompt, lexicon and judge files."""
    return packaged(_PACKAGE, "prompts/familiarity.jsonl").parent


def lexicon_beside(prompts: Path) -> Path:
    """The lexicon in a folder of prompts, or ours."""
    beside = prompts / "lexicon.jsonl"
    return beside if beside.is_file() else prompts_dir() / "lexicon.jsonl"
