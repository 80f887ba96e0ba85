"""The rows of the leaderboard: `recipes/leaderboard.yaml`, read and checked."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

#: What `retain.corpus` of a row says for the miniature's own text of the rest.
REST = "rest"

_STEP = "step"


class Row(BaseModel):
    """A row: a recipe, what is changed of it, and the settings among which one was chosen.

    Attributes:
        label: words for the table.
        recipe: file in `recipes/` to start from.
        keys: dotted recipe keys -> values, that make it this row.
        of: an ablation: the row that this one is without a part; it keeps that row's `chosen`, and has no `tried` of its own.
        tried: settings tried on seed 0, each dotted recipe keys -> values.
        chosen: one of them, and `step`: which checkpoint of its run; empty before `hp-bench leaderboard --choose`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    recipe: str
    keys: dict[str, Any] = Field(default_factory=dict)
    of: str = ""
    tried: list[dict[str, Any]] = Field(default_factory=list)
    chosen: dict[str, Any] = Field(default_factory=dict)

    @field_validator("recipe")
    @classmethod
    def _file(cls, value: str) -> str:
        if Path(value).name != value or not value.endswith(".yaml"):
            raise ValueError(f"{value!r} is no file of recipes/, such as miniature.yaml")
        return value

    @model_validator(mode="after")
    def _chosen_was_tried(self) -> "Row":
        if self.of:
            if self.tried or self.chosen:
                raise ValueError(f"a row of {self.of} keeps its settings: leave out tried and chosen")
            return self
        if not self.chosen:
            return self
        if not isinstance(self.chosen.get(_STEP), int):
            raise ValueError(f"chosen {self.chosen} names no step, such as step: 120")
        if self.setting not in self.tried:
            raise ValueError(f"chosen {self.setting} is none of the settings tried")
        return self

    @property
    def step(self) -> int:
        """Checkpoint chosen."""
        return int(self.chosen[_STEP])

    @property
    def setting(self) -> dict[str, Any]:
        """Keys chosen, without the step."""
        return {key: value for key, value in self.chosen.items() if key != _STEP}

    def overrides(self, setting: Mapping[str, Any], rest: Path | str) -> list[str]:
        """What a setting changes of the recipe, as `key=value`; a file stands for the word `rest` in `retain.corpus`."""
        keys = {**self.keys, **setting}
        if keys.get("retain.corpus") == REST:
            keys["retain.corpus"] = str(rest)
        return [f"{key}={json.dumps(value)}" for key, value in keys.items()]


class Rows(BaseModel):
    """All rows, by name, and the budget: how many settings were tried, the same number for every row but ablations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: int = Field(ge=1)
    rows: dict[str, Row] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_budget(self) -> "Rows":
        for name, row in self.rows.items():
            if row.of and (row.of not in self.rows or self.rows[row.of].of):
                raise ValueError(f"row {name}: of {row.of!r} names no row with settings of its own")
            if not row.of and len(row.tried) != self.budget:
                raise ValueError(f"row {name}: {len(row.tried)} settings were tried, not the {self.budget} of budget")
            if not name.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"row {name!r}: a name has letters, digits, - and _ alone")
        return self

    @classmethod
    def load(cls, path: Path | str) -> "Rows":
        """Reads the file. Raises ValueError: it cannot be read, or something in it is not allowed; the message names it."""
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"rows {str(path)!r} cannot be read: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise ValueError(f"rows {str(path)!r} are not YAML: {' '.join(str(error).split())}") from None
        if not isinstance(content, dict):
            raise ValueError(f"rows {str(path)!r} must be a mapping with budget and rows")
        try:
            return cls(**content)
        except ValidationError as error:
            first = error.errors()[0]
            where = [".".join(map(str, first["loc"]))] if first["loc"] else []
            raise ValueError(": ".join([str(path), *where, first["msg"].removeprefix("Value error, ")])) from None

    def named(self, names: Sequence[str]) -> dict[str, Row]:
        """The rows of these names, in the file's order, ablations with their settings; all of them where none is named.

        Raises ValueError: there is no row of a name.
        """
        for name in names:
            if name not in self.rows:
                raise ValueError(f"row {name!r} is unknown; there are {', '.join(self.rows)}")
        return {
            name: row.model_copy(update={"chosen": self._chosen_of(row)}) if row.of else row
            for name, row in self.rows.items()
            if not names or name in names
        }

    @staticmethod
    def require_chosen(rows: Mapping[str, Row]) -> None:
        """Rows can be trained for the table once a setting is chosen. Raises ValueError: a row has none."""
        for name, row in rows.items():
            if not row.chosen:
                raise ValueError(
                    f"row {name}: no setting is chosen; `hp-bench leaderboard --choose --rows {row.of or name}` tries them on seed 0 "
                    "and prints what belongs under `chosen`"
                )

    def _chosen_of(self, row: Row) -> dict[str, Any]:
        """What an ablation takes over: nothing that it changes itself."""
        return {key: value for key, value in self.rows[row.of].chosen.items() if key not in row.keys}
