"""A version that is worse than the one in use does not take its place; what the family took back always goes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kernel.evaluation import ARMS, ArmScore, Report
from kernel.gate import shortfall, worse_than_base
from kernel.ids import ElderId, JobId, MemoryId, TenantId, model_name
from kernel.memory import Answer, collect_memories
from kernel.version import ModelVersion

TOLD = [Answer(question="Where?", answer="I was born in Dunmore."), Answer(question="When?", answer="It was in 1938.")]
MEMORIES = collect_memories(TOLD, elder_name="n", language="en")
IDS = tuple(memory.id for memory in MEMORIES.items)
GOOD = {"recall": 0.9, "honesty": 0.8, "invention": 0.0}


def report(trained: dict[str, Any], base: dict[str, Any], *, answerable: int = 100, unanswerable: int = 100) -> Report:
    scores = {"trained+retrieval": trained, "base+retrieval": base}
    none = {"recall": 0.0, "honesty": 0.0}
    arms = tuple(ArmScore(arm=arm, **scores.get(arm, none)) for arm in ARMS)
    return Report(answerable=answerable, unanswerable=unanswerable, arms=arms, results=(), questions="q")


def version(score: dict[str, Any], **told: Any) -> ModelVersion:
    tenant, elder = TenantId("hale"), ElderId("m")
    return replace(
        ModelVersion(
            tenant=tenant, elder=elder, number=1, name=model_name(tenant, elder), key="k", job=JobId("j"),
            engine="llama_cpp", base="b", quantisation="q8_0", size_bytes=1, gguf_sha256="", system_prompt="",
            language="en", memories_digest="", memory_ids=IDS, created_at=datetime.now(UTC), is_active=True,
            arms=(ArmScore(arm="trained+retrieval", **score),), questions="q",
        ),
        **told,
    )  # fmt: skip


WEAK = {"recall": 0.4, "honesty": 0.1, "invention": 0.3}


def test_as_good_or_a_little_worse_passes() -> None:
    assert shortfall(report(GOOD, WEAK), version(GOOD), MEMORIES) is None
    assert shortfall(report(GOOD | {"recall": 0.81}, WEAK), version(GOOD), MEMORIES) is None


@pytest.mark.parametrize(
    ("measure", "worse", "wanted"), [("recall", 0.79, 0.8), ("honesty", 0.69, 0.7), ("invention", 0.08, 0.0707)]
)
def test_worse_than_the_one_in_use_is_kept_out(measure: str, worse: float, wanted: float) -> None:
    found = shortfall(report(GOOD | {measure: worse}, WEAK), version(GOOD), MEMORIES)
    assert found and (found.measure, found.got, found.wanted, found.against) == (measure, worse, wanted, "in_use")


def test_other_questions_are_not_compared() -> None:
    """A family that adds questions, or a memoir, makes it harder: the first small model must not stay for ever."""
    assert shortfall(report(GOOD | {"recall": 0.5}, WEAK), version(GOOD, questions="others"), MEMORIES) is None


def test_better_than_the_one_in_use_is_never_kept_out_by_the_base() -> None:
    assert shortfall(report(GOOD | {"recall": 0.65}, GOOD), version(WEAK), MEMORIES) is None


def test_worse_than_the_untrained_base_is_kept_out() -> None:
    found = shortfall(report(WEAK, GOOD), version(GOOD, questions="others"), MEMORIES)
    assert found and (found.measure, found.against) == ("recall", "base")


def test_few_questions_allow_more_and_none_ask_nothing() -> None:
    poor = GOOD | {"recall": 0.5, "honesty": 0.0}
    assert shortfall(report(poor, WEAK, answerable=4, unanswerable=0), version(GOOD), MEMORIES) is None
    assert shortfall(report(poor, WEAK, answerable=100, unanswerable=0), version(GOOD), MEMORIES) is not None


def test_what_was_not_asked_is_not_compared() -> None:
    none = {"recall": None, "honesty": None}
    unasked = GOOD | none
    assert shortfall(report(unasked, GOOD), version(GOOD), MEMORIES) is None
    assert shortfall(report(GOOD, unasked), version(unasked), MEMORIES) is None


def test_the_first_version_has_nothing_to_replace_and_is_compared_with_the_base_all_the_same() -> None:
    poor = report(WEAK, GOOD)
    assert shortfall(poor, None, MEMORIES) is None
    assert [one.measure for one in worse_than_base(poor)] == ["recall", "honesty", "invention"]
    assert {one.against for one in worse_than_base(poor)} == {"base"}
    assert worse_than_base(report(GOOD, WEAK)) == []


def test_a_version_that_knows_what_was_taken_back_is_replaced_by_any() -> None:
    knows_more = version(GOOD, memory_ids=(*IDS, MemoryId("m_gone")))
    assert shortfall(report(WEAK, GOOD), knows_more, MEMORIES) is None
