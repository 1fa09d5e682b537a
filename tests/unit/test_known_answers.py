"""Known answers: only what the same weights were asked in the same words is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kernel.evaluation import ProbeResult, Report
from kernel.known_answers import Answered, KnownAnswers
from kernel.sample import Message


class Model:
    """Answers and remembers what it was asked."""

    max_new_tokens = 9

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.weights, self.adapter = folder / "base.gguf", folder / "adapter.gguf"
        self.weights.write_bytes(b"base")
        self.adapter.write_bytes(b"adapter")

    def answer(self, weights: Path, prompts: Sequence[Sequence[Message]], **_: object) -> list[str]:
        self.asked += [prompt[0].content for prompt in prompts]
        return [f"to {prompt[0].content}" for prompt in prompts]

    def told(
        self, known: KnownAnswers, *questions: str, adapter: Path | None = None, opening: str = ""
    ) -> list[Answered]:
        begun = [Message(role="assistant", content=opening)] if opening else []
        me: Any = self
        return known.ask(
            self.weights,
            [[Message(role="user", content=question), *begun] for question in questions],
            adapter=adapter,
            recipe=me,
            trainer=me,
            report=lambda *_, **__: None,
        )


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


def kept(told: Sequence[Answered]) -> Report:
    results = tuple(ProbeResult(arm="base", question="", answer=one.answer, is_right=True, key=one.key) for one in told)
    return Report(answerable=0, unanswerable=0, arms=(), results=results)


def test_what_a_kept_report_answers_is_not_asked_again_and_what_is_new_is(model: Model) -> None:
    before = model.told(KnownAnswers(()), "a", "b", opening="I")
    model.asked.clear()
    again = model.told(KnownAnswers([kept(before)]), "b", "c", "a", opening="I")
    assert [one.answer for one in again] == ["Ito b", "Ito c", "Ito a"] and model.asked == ["c"]


def test_the_same_question_twice_is_asked_once(model: Model) -> None:
    assert [one.answer for one in model.told(KnownAnswers(()), "a", "a")] == ["to a"] * 2
    assert model.asked == ["a"]


def test_other_weights_another_adapter_another_beginning_and_another_limit_are_asked_anew(model: Model) -> None:
    report = kept(model.told(KnownAnswers(()), "a"))
    model.told(KnownAnswers([report]), "a", opening="I")
    model.told(KnownAnswers([report]), "a", adapter=model.adapter)
    model.max_new_tokens = 8
    model.told(KnownAnswers([report]), "a")
    model.max_new_tokens = 9
    model.told(KnownAnswers([report]), "a")
    assert len(model.asked) == 4
    model.weights.write_bytes(b"another base")
    model.told(KnownAnswers([report]), "a")
    assert len(model.asked) == 5


def test_a_report_of_before_keys_were_kept_answers_nothing(model: Model) -> None:
    model.told(KnownAnswers([kept([Answered("", "x")])]), "a")
    assert model.asked == ["a"]
