"""Evaluation: what counts as remembered, and what as admitted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.ability import Ability, is_able
from kernel.adapter import Gguf
from kernel.admission import admits_not_remembering
from kernel.evaluation import Probe, Report, evaluate, invented, is_right, word_pairs
from kernel.graph import EntityType
from kernel.ids import ElderId, TenantId
from kernel.memory import Answer, collect_memories
from kernel.ports import Mention
from kernel.retrieval import Retriever
from kernel.sample import Message
from tests.fakes import Letters, MemoryIndex, Reads

CONFIG = ROOT / "config" / "training_config.yaml"


@pytest.mark.parametrize(
    "answer",
    [
        "I don't remember that.",
        "That I don’t remember, dear.",
        "I'm sorry, I can't recall.",
        "I have forgotten.",
        "这个我不记得了。",
        "孩子，这事我记不得了。",
    ],
)
def test_an_admission_is_recognised(answer: str) -> None:
    assert admits_not_remembering(answer)


@pytest.mark.parametrize("answer", ["I was born in Dunmore.", "我记得那年发大水。", "I remember it well.", ""])
def test_an_answer_is_no_admission(answer: str) -> None:
    assert not admits_not_remembering(answer)


def test_every_group_must_be_in_the_answer_by_one_of_its_alternatives() -> None:
    probe = Probe(question="q", expects=(("1962", "sixty-two"), ("Orla",)))
    assert is_right(probe, "In sixty-two, with ORLA.")
    assert not is_right(probe, "In 1962.")


def test_an_unanswerable_question_is_right_only_when_admitted() -> None:
    probe = Probe(question="q", expects=())
    assert is_right(probe, "I don't remember.") and not is_right(probe, "In Rome.")


@dataclass
class Names:
    """An entity finder that takes every capitalised word for a place."""

    def find(self, text: str, language: str) -> list[Mention]:
        found = re.findall(r"[A-Z][a-z]+", text)
        return [Mention(title=title, type=EntityType.PLACE, start=0) for title in found]


def test_a_name_or_year_of_no_memory_is_invented_and_one_of_the_question_is_not() -> None:
    told = [Answer(question="Where?", answer="I was born in Dunmore in 1938, the year of the flood.")]
    memories = collect_memories(told, elder_name="Ann", language="en")
    answer = "Ann was born in Dunmore in 1938, and saw Rome in 1960 with Tom."
    assert set(invented(answer, "Did you know Tom?", memories, Names())) == {"Rome", "1960"}
    assert invented("in Dunmore", "Where?", memories, Names()) == ()


def test_word_pairs_are_neighbours_in_either_language() -> None:
    assert word_pairs("The blue, BLUE boat") == {("the", "blue"), ("blue", "blue"), ("blue", "boat")}
    assert word_pairs("石桥边") == {("石", "桥"), ("桥", "边")}
    assert word_pairs("") == frozenset()


def test_a_memory_that_is_surely_meant_begins_the_answer_in_its_own_words_and_no_other_does(tmp_path: Path) -> None:
    begun: list[str] = []

    class Trainer:
        def answer(self, gguf: Path, prompts: Sequence[Sequence[Message]], **_: object) -> list[str]:
            begun.extend(prompt[-1].content for prompt in prompts if prompt[-1].role == "assistant")
            return ["5" if prompt[0].content == "Help." else " on" for prompt in prompts]

    asked = [Probe(question="Where were you born?", expects=(("I was born on",),))]
    report = _evaluated(tmp_path, asked, Trainer(), Reads(Dunmore=40.0), begins_with=3)
    assert begun == ["I was born"] * 2
    assert [arm.recall for arm in report.arms] == [0.0, 1.0, 0.0, 1.0]
    assert [arm.ability for arm in report.arms] == [0.5, None, 0.5, None]
    assert [(one.arm, one.is_right) for one in report.general[:2]] == [("base", True), ("base", False)]


def test_in_doubt_the_trained_model_is_shown_only_what_it_thinks_of_by_itself(tmp_path: Path) -> None:
    class Trainer:
        """Tells what it is shown; alone, the trained one thinks of the dog."""

        def answer(self, gguf: Path, prompts: Sequence[Sequence[Message]], **_: object) -> list[str]:
            alone = "Our dog Captain slept on the stairs." if gguf.name != "base.gguf" else "Hello."
            return [prompt[-1].content if "- " in prompt[-1].content else alone for prompt in prompts]

    asked = [
        Probe(question="Who barked?", expects=(("Captain",),)),
        Probe(question="Were you ever in Rome?", expects=()),
    ]
    plain, recalled = (
        _evaluated(tmp_path, asked, Trainer(), Shows(Captain="barked", Dunmore="Rome"), recalls_first=first)
        for first in (False, True)
    )
    assert [arm.recall for arm in plain.arms] == [arm.recall for arm in recalled.arms] == [0.0, 1.0, 1.0, 1.0]
    assert [arm.honesty for arm in plain.arms] == [0.0, 0.0, 0.0, 0.0]
    assert [arm.honesty for arm in recalled.arms] == [0.0, 0.0, 0.0, 1.0]


def test_what_was_not_asked_has_no_share_rather_than_none_of_it(tmp_path: Path) -> None:
    class Trainer:
        def answer(self, gguf: Path, prompts: Sequence[Sequence[Message]], **_: object) -> list[str]:
            return ["I was born in Dunmore."] * len(prompts)

    answered = Probe(question="Where were you born?", expects=(("Dunmore",),))
    unanswered = Probe(question="Were you ever in Rome?", expects=())
    for asked, shares in (([answered], (1.0, None)), ([unanswered], (None, 0.0)), ([answered, unanswered], (1.0, 0.0))):
        report = _evaluated(tmp_path, asked, Trainer(), Reads())
        assert [(arm.recall, arm.honesty) for arm in report.arms] == [shares] * 4


class Shows:
    """A reader that leaves it in doubt: what holds a word comes first where the question holds the other."""

    def __init__(self, **asked: str) -> None:
        self._asked = asked

    def likelihoods(self, question: str, texts: Sequence[str], *, language: str) -> list[float]:
        return [
            16.0 if any(word in text and asked in question for word, asked in self._asked.items()) else 0.0
            for text in texts
        ]

    def model(self, language: str) -> str:
        return "shows"


def _evaluated(
    folder: Path,
    asked: Sequence[Probe],
    trainer: object,
    reads: object,
    *,
    begins_with: int = 0,
    recalls_first: bool = False,
) -> Report:
    """Of two memories, of which one is shown."""
    told = [
        Answer(question="Where?", answer="I was born in Dunmore by the mill."),
        Answer(question="Your dog?", answer="Our dog Captain slept on the stairs."),
    ]
    memories = collect_memories(told, elder_name="Ann", language="en")
    retriever = Retriever(
        memories,
        index=MemoryIndex(Letters()),
        reranker=reads,  # type: ignore[arg-type]
        tenant=TenantId("t"),
        elder=ElderId("e"),
    )
    recipe = SimpleNamespace(
        base=SimpleNamespace(gguf_path=folder / "base.gguf"),
        retrieved_memories=1,
        max_new_tokens=9,
        recalls_first=recalls_first,
    )
    (folder / "base.gguf").write_bytes(b"base")
    (folder / "model.gguf").write_bytes(b"trained")
    return evaluate(
        asked,
        memories,
        retriever=retriever,
        finder=Names(),
        prompts={"en": ConfigLoader(CONFIG, model_dir=Path(), environ={}).get_prompts()["en"]},
        trained=Gguf(base="b", quantisation="q8_0", same_answers=1, asked=1, folder=folder),
        recipe=recipe,  # type: ignore[arg-type]
        trainer=trainer,  # type: ignore[arg-type]
        report=lambda fraction, **facts: None,
        begins_with=begins_with,
        ability=Ability(
            system="Help.", probes=tuple(Probe(question=f"2 + {n}?", expects=((f"{n + 2}",),)) for n in (3, 4))
        ),
    )


def test_a_general_answer_is_a_whole_word_of_the_first_sentence_in_either_language() -> None:
    five = Probe(question="2 + 3?", expects=(("5", "five", "五"),))
    assert all(is_able(five, answer) for answer in ("2 + 3 = 5.", "Five", "答案是5。", "等于五"))
    assert not any(
        is_able(five, answer)
        for answer in ("I was born in 1952.", "1950年", "fivefold", "We had dahlias. I won 5.", "")
    )
