"""What libraries say on their own, where a command has its own progress."""


def quiet_libraries() -> None:
    """Silences transformers, datasets and torch, unless the user's environment says otherwise; before they are imported."""
    import os
    import warnings

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", module="torch")
