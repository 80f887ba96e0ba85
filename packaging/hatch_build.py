"""Where files go in a wheel.

A standard wheel carries `tasks/`, `prompts/` and the tested versions under `hp_bench/`, `recipes/` and the anchor prompt under `unlearn/`,
and the start-up `.pth` at its root. An editable wheel carries the `.pth` alone: everything else is read live from the checkout.
"""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PTH = {"packaging/hp_bench_autoload.pth": "hp_bench_autoload.pth"}
DATA = {
    "tasks": "hp_bench/tasks",
    "prompts": "hp_bench/prompts",
    "constraints/tested.txt": "hp_bench/constraints/tested.txt",
    "recipes": "unlearn/recipes",
    "prompts/anchors.txt": "unlearn/prompts/anchors.txt",
}


class CustomBuildHook(BuildHookInterface):
    """Adds the data files to a standard wheel and only the `.pth` to an editable one."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Called by hatchling; `version` is "standard" or "editable"."""
        if version == "editable":
            build_data["force_include_editable"].update(
                {f"{self.root}/{source}": target for source, target in PTH.items()}
            )
        else:
            build_data["force_include"].update(
                {f"{self.root}/{source}": target for source, target in {**DATA, **PTH}.items()}
            )
