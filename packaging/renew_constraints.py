"""Writes a file of constraints: every package, and the version, that pip would install today for what is asked.

    python packaging/renew_constraints.py constraints/tested.txt torch==2.13.0 '.[dev,quantised]'

Names and versions alone: no address, and no local part of a version (2.13.0+cpu is written 2.13.0), so that the file holds for any
build and index. What only a CUDA build of PyTorch brings is left out: that build says itself which versions it takes. Nothing is
installed. `make constraints` runs it for both files.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

#: pip itself, and what builds us and the packages that have no wheel.
BUILD = ("pip", "hatchling", "editables", "setuptools")
CUDA = ("nvidia-", "cuda-", "triton")


def resolved(requirements: list[str]) -> dict[str, str]:
    """Name to version of all that pip would install into an empty environment, ourselves left out."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", report, *BUILD, *requirements], check=True)
        packages = [entry["metadata"] for entry in json.loads(report.read_text(encoding="utf-8"))["install"]]
    found = {package["name"]: package["version"].split("+")[0] for package in packages}
    return {name: version for name, version in found.items() if name != "hp-bench" and not name.startswith(CUDA)}


def main(path: str, *requirements: str) -> None:
    """Writes `path`, sorted; under a temporary name first."""
    lines = [f"{name}=={version}" for name, version in resolved(list(requirements)).items()]
    whole = Path(f"{path}.new")
    whole.write_text("\n".join(sorted(lines, key=str.lower)) + "\n", encoding="utf-8")
    whole.replace(path)
    print(f"{path}: {len(lines)} packages")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
