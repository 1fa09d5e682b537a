"""Known answers: what the same weights were asked in the same words before is not asked again.

Answers are greedy, so the same prompt has the same answer. They are kept in the elder's own reports, and go when those
do. Of a retraining most of the base's are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kernel.ids import digest, file_digest

if TYPE_CHECKING:
    from kernel.evaluation import Report
    from kernel.ports import Report as Progress
    from kernel.ports import Trainer
    from kernel.recipe import Recipe
    from kernel.sample import Message

_VERSION = "1"  #: goes up when the same weights answer the same prompt otherwise


class Answered(NamedTuple):
    key: str  #: a digest of the prompt and of the weights
    answer: str  #: with what it was begun with


class KnownAnswers:
    def __init__(self, reports: Sequence[Report]) -> None:
        self._answers = {
            one.key: one.answer for old in reports for one in (*old.results, *old.regressions, *old.general)
        }
        self._digests: dict[Path, str] = {}

    def ask(
        self,
        weights: Path,
        prompts: Sequence[Sequence[Message]],
        *,
        adapter: Path | None,
        recipe: Recipe,
        trainer: Trainer,
        report: Progress,
    ) -> list[Answered]:
        model = [_VERSION, self._digest(weights), self._digest(adapter) if adapter else "", str(recipe.max_new_tokens)]
        keys = [digest(*model, *(part for turn in prompt for part in (turn.role, turn.content))) for prompt in prompts]
        new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._answers}
        if new:
            answers = trainer.answer(weights, list(new.values()), adapter=adapter, recipe=recipe, report=report)
            self._answers |= {key: _opening(new[key]) + said for key, said in zip(new, answers, strict=True)}
        return [Answered(key, self._answers[key]) for key in keys]

    def _digest(self, file: Path) -> str:
        if file not in self._digests:
            self._digests[file] = file_digest(file)
        return self._digests[file]


def _opening(prompt: Sequence[Message]) -> str:
    return prompt[-1].content if prompt[-1].role == "assistant" else ""
