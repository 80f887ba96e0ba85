"""Where recipes/ is: beside the package in a wheel, in the parent folder in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def recipes_dir() -> Path:
    """Folder of the recipes that come with the package."""
    for parent in (_PACKAGE, _PACKAGE.parent):
        if (parent / "recipes" / "miniature.yaml").is_file():
            return parent / "recipes"
    raise FileNotFoundError(
        f"recipes/ is neither in {_PACKAGE} nor in {_PACKAGE.parent}: the installation is incomplete"
    )
