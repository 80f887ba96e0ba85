"""`hp_languages_fr`, `_de`, `_es`, `_it`, `_pt`: the completion-based familiarity test in another language. Lower = less familiar.

One task a language, never pooled: a model that does not speak a language cannot reveal anything in it.
"""

from typing import Any

from hp_bench.harness.familiarity import FamiliarityTask


class LanguageTask(FamiliarityTask):
    """Completions of prompts in the language that `language` of the metadata names, by its two letters.

    Graded by the judge of `hp_familiarity`: the lexicon holds the forms of the official translations, and the references are in the
    language and in English. Only explicit completions count, since the words of the theme are English ones.
    """

    @property
    def PROMPTS(self) -> str:  # type: ignore[override]
        """The language's prompt file."""
        return f"languages-{self.config.metadata['language']}.jsonl"

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, float]:
        """A verdict's metrics but familiarity and thematic."""
        kept = ("explicit", "degenerate", "unscored")
        found = super().process_results(doc, results)
        return {name: value for name, value in found.items() if name.removesuffix("_stderr") in kept}
