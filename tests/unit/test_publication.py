"""Publication: until the engine has answered with the new model, the version before goes on answering."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.adapter import Adapter, Gguf, Storage
from kernel.errors import EngineNotConfigured, EngineUnavailable, HeirloomError
from kernel.evaluation import ARMS, ArmScore, ProbeResult, Report
from kernel.ids import ElderId, JobId, MemoryId, TenantId
from kernel.job import Fact
from kernel.memory import Answer, collect_memories
from kernel.ports import ChatOptions
from kernel.publication import Publication, is_published, publish
from kernel.sample import Message
from kernel.version import ModelVersion
from tests.memory_store import MemoryVersions

US, ELDER = TenantId("us"), ElderId("LXM19580312M")
PROMPTS = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={}).get_prompts()
MEMORIES = collect_memories([Answer(question="Where?", answer="In Dunmore.")], elder_name="Ann", language="en")


class Engine:
    name = "ollama"

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.is_down, self.words = False, "In Dunmore."
        self.is_stubborn: HeirloomError | None = None
        self.adapter: Path | None = None
        self.in_use = ""

    def register(
        self, version: ModelVersion, gguf: Path, *, adapter: Path | None = None, say: Callable[[str], None]
    ) -> None:
        if self.is_down:
            raise EngineUnavailable(engine="ollama", reason="no answer")
        self.adapter = adapter
        say("writing manifest")
        self.held.add(version.tag)

    def has(self, version: ModelVersion) -> bool:
        return version.tag in self.held

    def chat(self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions) -> Iterator[str]:
        yield self.words

    def activate(self, version: ModelVersion) -> None:
        self.in_use = version.tag

    def delete(self, version: ModelVersion, *, at_once: bool = True) -> None:
        if self.is_stubborn:
            raise self.is_stubborn
        assert not at_once, "an answer under way would break off"
        self.held.discard(version.tag)


class Shelf:
    """Publishes one GGUF after another."""

    def __init__(self, folder: Path) -> None:
        self.engine, self.versions, self._folder = Engine(), MemoryVersions(), folder
        self.facts: dict[str, Fact] = {}
        (folder / "model.gguf").write_bytes(b"GGUF")
        (folder / "adapter.gguf").write_bytes(b"GG")

    def publish(
        self,
        key: str,
        *,
        recall: float = 0.9,
        base: float | None = None,
        is_familys: bool = True,
        again: tuple[bool, ...] = (),
        kept: int = 1,
        storage: Storage = "merged",
        ability: float | None = None,
    ) -> Publication:
        self.facts.clear()
        recalls = {"base+retrieval": recall if base is None else base}
        arms = tuple(ArmScore(arm=arm, recall=recalls.get(arm, recall), honesty=None, ability=ability) for arm in ARMS)
        return publish(
            Gguf(base="b", quantisation="q8_0", same_answers=8, asked=8, storage=storage, folder=self._folder),
            Report(
                answerable=100,
                unanswerable=0,
                is_familys=is_familys,
                arms=arms,
                results=(),
                regressions=_asked(again),
            ),
            MEMORIES,
            Adapter(base="b", method="dpo", steps=1, loss=0.0, folder=self._folder / "adapter"),
            tenant=US,
            elder=ELDER,
            job=JobId("j"),
            key=key,
            prompts=PROMPTS,
            engine=self.engine,  # type: ignore[arg-type]
            versions=self.versions,
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            progress=lambda fraction, **facts: self.facts.update(facts),
            kept=kept,
        )

    def numbers(self) -> list[int]:
        return [one.number for one in self.versions.of_elder(US, ELDER)]


def _asked(again: tuple[bool, ...]) -> tuple[ProbeResult, ...]:
    return tuple(
        ProbeResult(arm=ARMS[-1], question=f"q{number}", answer="a", is_right=is_right)
        for number, is_right in enumerate(again)
    )


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_versions_are_numbered_and_the_newest_is_active(shelf: Shelf) -> None:
    assert [shelf.publish(key).number for key in ("a", "b")] == [1, 2]
    active = shelf.versions.active(US, ELDER)
    assert (active.number, active.system_prompt.startswith("You are Ann")) == (2, True)
    assert len(shelf.versions.of_elder(US, ELDER)) == 2


def test_the_engine_gets_the_adapter_too_says_what_it_does_and_is_told_which_version_is_in_use(shelf: Shelf) -> None:
    made = shelf.publish("a")
    assert shelf.engine.adapter and shelf.engine.adapter.name == "adapter"
    assert shelf.facts == {"engine": "writing manifest"}
    assert shelf.engine.in_use == made.tag


def test_what_else_it_can_do_is_told_and_keeps_nothing_out(shelf: Shelf) -> None:
    shelf.publish("a", ability=0.75)
    assert shelf.publish("b", ability=0.0).number == 2
    assert (shelf.facts["ability_base"], shelf.facts["ability_trained"]) == (0.0, 0.0)


def test_a_version_keeps_how_many_questions_its_shares_are_of(shelf: Shelf) -> None:
    shelf.publish("a")
    active = shelf.versions.active(US, ELDER)
    assert (active.answerable, active.unanswerable) == (100, 0)


def test_the_same_key_is_the_same_version(shelf: Shelf) -> None:
    assert shelf.publish("a") == shelf.publish("a")
    assert len(shelf.versions.of_elder(US, ELDER)) == 1


def test_a_worse_version_is_not_published_and_says_where_it_is_worse(shelf: Shelf) -> None:
    shelf.publish("a")
    kept = shelf.publish("b", recall=0.5)
    assert kept.shortfall and (kept.number, kept.shortfall.measure) == (1, "recall")
    assert shelf.facts == {"kept": "recall", "against": "in_use", "got": 0.5, "wanted": 0.8}
    assert shelf.numbers() == [1] and len(shelf.engine.held) == 1
    assert is_published(kept, tenant=US, elder=ELDER, versions=shelf.versions, engine=shelf.engine)  # type: ignore[arg-type]
    assert shelf.publish("c").number == 2


def test_a_first_version_that_is_worse_than_the_base_is_published_and_says_so(shelf: Shelf) -> None:
    made = shelf.publish("a", recall=0.5, base=0.9)
    assert (made.number, made.shortfall, shelf.versions.active(US, ELDER).number) == (1, None, 1)
    assert (shelf.facts["worse_than_base"], shelf.facts["got"], shelf.facts["wanted"]) == ("recall", 0.5, 0.8)
    shelf.publish("b", recall=0.9, base=0.5)
    assert "worse_than_base" not in shelf.facts


def test_what_takes_the_place_of_a_version_that_knows_too_much_says_so_too(shelf: Shelf) -> None:
    shelf.publish("a")
    [known] = shelf.versions.of_elder(US, ELDER)
    shelf.versions.add(US, replace(known, memory_ids=(MemoryId("m_gone"),)))
    assert shelf.publish("b", recall=0.5, base=0.9).number == 2
    assert shelf.facts["worse_than_base"] == "recall"


def test_that_the_questions_were_split_off_is_said(shelf: Shelf) -> None:
    shelf.publish("a", is_familys=False)
    assert shelf.facts["split_off"] == 100
    shelf.publish("b")
    assert "split_off" not in shelf.facts


def test_what_was_praised_and_is_wrong_now_is_reported_and_decides_nothing(shelf: Shelf) -> None:
    assert shelf.publish("a", again=(True, False)).regressed == ("q1",)
    assert (shelf.facts["regressions"], shelf.facts["regressed"]) == (2, 1)
    kept = shelf.publish("b", recall=0.5, again=(False, False))
    assert (kept.number, kept.regressed, shelf.facts["regressed"]) == (1, ("q0", "q1"), 2)


def test_a_version_that_the_engine_has_lost_is_not_kept(shelf: Shelf) -> None:
    shelf.publish("a")
    shelf.engine.held.clear()
    assert shelf.publish("b", recall=0.5).number == 2


def test_the_version_before_is_kept_and_older_ones_leave_the_engine(shelf: Shelf) -> None:
    for key in "abc":
        shelf.publish(key)
    assert shelf.numbers() == [3, 2]
    assert {tag[-3:] for tag in shelf.engine.held} == {":v2", ":v3"}
    assert [shelf.publish(key).number for key in "bd"] == [2, 4]
    assert shelf.numbers() == [4, 2]


def test_as_many_earlier_versions_stay_as_are_wanted_the_one_in_use_until_now_among_them(shelf: Shelf) -> None:
    for key in "abcd":
        shelf.publish(key, kept=3)
    assert shelf.numbers() == [4, 3, 2, 1]
    shelf.versions.activate(US, ELDER, 1)  # rolled back
    shelf.publish("e", kept=2)
    assert shelf.numbers() == [5, 4, 1]
    shelf.publish("f", kept=0)
    assert shelf.numbers() == [6]


def test_a_version_says_how_it_is_kept_and_what_it_takes_on_disk(shelf: Shelf) -> None:
    shelf.publish("a")
    shelf.publish("b", storage="adapter")
    kept = [(one.storage, one.size_bytes) for one in shelf.versions.of_elder(US, ELDER)]
    assert kept == [("adapter", 2), ("merged", 4)]


def test_a_retired_version_is_never_published_again_and_its_number_is_not_used_twice(shelf: Shelf) -> None:
    shelf.publish("a")
    shelf.publish("b")
    shelf.engine.is_stubborn = EngineUnavailable(engine="ollama", reason="no answer")
    shelf.versions.retire(US, ELDER, 1)
    assert shelf.publish("a").number == 3
    assert [(one.number, one.is_retired) for one in shelf.versions.of_elder(US, ELDER)] == [
        (3, False),
        (2, False),
        (1, True),
    ]


@pytest.mark.parametrize(
    "error",
    [
        EngineUnavailable(engine="ollama", reason="no answer"),
        EngineNotConfigured(engine="ollama", setting="OLLAMA_HOST"),
    ],
)
def test_an_old_version_that_the_engine_does_not_let_go_goes_after_the_next_publication(
    shelf: Shelf, error: HeirloomError
) -> None:
    shelf.engine.is_stubborn = error
    assert [shelf.publish(key).number for key in "abc"] == [1, 2, 3]
    assert shelf.numbers() == [3, 2, 1]
    shelf.engine.is_stubborn = None
    shelf.publish("d")
    assert shelf.numbers() == [4, 3] and len(shelf.engine.held) == 2


def test_what_the_engine_holds_is_listed_even_if_it_was_never_in_use(shelf: Shelf) -> None:
    shelf.engine.words = ""
    with pytest.raises(EngineUnavailable):
        shelf.publish("a")
    assert {one.tag for one in shelf.versions.of_elder(US, ELDER)} == shelf.engine.held


@pytest.mark.parametrize("fault", ["down", "silent"])
def test_an_engine_that_fails_leaves_the_version_before_active(shelf: Shelf, fault: str) -> None:
    shelf.publish("a")
    shelf.engine.is_down, shelf.engine.words = fault == "down", "" if fault == "silent" else "x"
    with pytest.raises(EngineUnavailable):
        shelf.publish("b")
    assert shelf.versions.active(US, ELDER).number == 1
    shelf.engine.is_down, shelf.engine.words = False, "In Dunmore."
    assert shelf.publish("b").number == 2


def test_a_publication_holds_only_while_the_engine_has_the_active_version(shelf: Shelf) -> None:
    made = shelf.publish("a")
    facts = {"tenant": US, "elder": ELDER, "versions": shelf.versions, "engine": shelf.engine}
    assert is_published(made, **facts)  # type: ignore[arg-type]
    shelf.engine.held.clear()
    assert not is_published(made, **facts)  # type: ignore[arg-type]
    shelf.versions.delete(US, ELDER)
    assert not is_published(made, **facts)  # type: ignore[arg-type]
