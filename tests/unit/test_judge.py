"""A judge that asks a model: both orders must agree, and what it is shown is the life around the sample."""

from collections.abc import Callable

import pytest

from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.bio import Bio
from kernel.errors import TeacherGarbled, TeacherRefused, TeacherUnavailable
from kernel.graph import Entity, EntityGraph, EntityType, Relationship
from kernel.ids import MemoryId
from kernel.judge import Background, GroundedJudge
from kernel.language_model import Reply, Task
from kernel.llm_judge import LlmJudge
from kernel.note import Note, Notes
from kernel.sample import Message, Sample

PROMPTS = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={}).get_teacher_prompts()
BOAT, SONG = MemoryId("m_boat"), MemoryId("m_song")
SAMPLE = Sample(
    kind="memory_qa",
    prompt=(Message(role="user", content="Who built the boat?"),),
    completion="Uncle Elias built the Kittiwake at Cley.",
    memory_ids=(BOAT,),
)
INVENTED = "Uncle Horace built her in Rome."


def note(memory: MemoryId, title: str) -> Note:
    return Note(
        memory_id=memory, title=title, summary=f"About {title}.", insight="", keywords=(), people=(), places=(),
        dates=(), text="", teacher="t",
    )  # fmt: skip


BACKGROUND = Background(
    bio=Bio(elder_name="M", first_person="I", second_person="you", third_person="She fished.", memory_ids=(BOAT, SONG)),
    notes=Notes(language="en", items=(note(BOAT, "The Kittiwake"), note(SONG, "A lullaby"))),
    graph=EntityGraph(
        entities=(
            Entity(title="ELIAS", type=EntityType.PERSON, description="", memory_ids=(BOAT,)),
            Entity(title="AGNES", type=EntityType.PERSON, description="", memory_ids=(SONG,)),
        ),
        relationships=(
            Relationship(source="ELIAS", target="CLEY", description="built at", weight=1.0, memory_ids=(BOAT,)),
            Relationship(source="AGNES", target="SONG", description="sang", weight=1.0, memory_ids=(SONG,)),
        ),
        communities=(),
    ),
)


class Model:
    """A LanguageModel that judges by `says(first, second)`, or raises what it returns."""

    def __init__(self, says: Callable[[str, str], str | Exception], *, name: str = "here/judge") -> None:
        self.says, self.name = says, name
        self.asked: list[Task] = []

    def reply(self, task: Task, *, pause: Callable[[float], None], begin: Callable[[], None] = lambda: None) -> Reply:
        self.asked.append(task)
        first, second = task.messages[-1].content.partition("[first]\n")[2].split("\n\n[second]\n")
        said = self.says(first, second)
        if isinstance(said, Exception):
            raise said
        return Reply(value={"better": said, "wrong": "invents"}, tokens_read=1, tokens_written=1)


def judge(model: Model, pause: Callable[[float], None] = lambda seconds: None) -> LlmJudge:
    return LlmJudge(model, PROMPTS, language="en", fallback=GroundedJudge(), pause=pause)


def test_an_answer_that_wins_in_both_orders_is_chosen() -> None:
    model = Model(lambda first, second: "first" if "Elias" in first else "second")
    verdict = judge(model).verdict(SAMPLE, INVENTED, BACKGROUND)
    assert verdict and (verdict.reason, verdict.judge) == ("invents", "here/judge")
    assert len(model.asked) == 2


@pytest.mark.parametrize("position", ["first", "second", "same"])
def test_a_model_that_prefers_a_position_makes_no_pair(position: str) -> None:
    assert judge(Model(lambda first, second: position)).verdict(SAMPLE, INVENTED, BACKGROUND) is None


def test_a_model_that_prefers_the_other_makes_no_pair_of_it() -> None:
    model = Model(lambda first, second: "second" if "Elias" in first else "first")
    assert judge(model).verdict(SAMPLE, INVENTED, BACKGROUND) is None
    assert len(model.asked) == 1


def test_it_sees_the_biography_the_samples_notes_and_what_the_graph_holds_around_them_only() -> None:
    model = Model(lambda first, second: "same")
    judge(model).verdict(SAMPLE, INVENTED, BACKGROUND)
    shown = model.asked[0].messages[-1].content
    assert "She fished." in shown and "The Kittiwake: About" in shown and "ELIAS - CLEY: built at" in shown
    assert "lullaby" not in shown and "AGNES" not in shown and "Who built the boat?" in shown
    assert model.asked[0].memory_ids == (BOAT, SONG), "whatever is taken back, this is forgotten with it"


@pytest.mark.parametrize("error", [TeacherRefused(purpose="judge"), TeacherGarbled(reason="an empty reply")])
def test_where_the_model_gives_no_judgement_the_grounded_one_does(error: Exception) -> None:
    verdict = judge(Model(lambda first, second: error)).verdict(SAMPLE, INVENTED, BACKGROUND)
    assert verdict and verdict.judge == GroundedJudge.name


def test_a_model_that_is_not_there_ends_the_stage() -> None:
    with pytest.raises(TeacherUnavailable):
        judge(Model(lambda first, second: TeacherUnavailable(reason="x"))).verdict(SAMPLE, INVENTED, BACKGROUND)


def test_another_model_is_another_judge() -> None:
    one, other = (judge(Model(lambda first, second: "same", name=name)) for name in ("here/judge", "there/judge"))
    assert one.name != other.name


def test_the_grounded_judge_drops_near_ties_and_says_what_was_wrong() -> None:
    verdict = GroundedJudge().verdict
    assert verdict(SAMPLE, SAMPLE.completion + " Yes.", BACKGROUND) is None
    wrong = {"I don't remember.": "refuses", "Uncle Elias": "incomplete", INVENTED: "forgets"}
    for rejected, reason in wrong.items():
        found = verdict(SAMPLE, rejected, BACKGROUND)
        assert found and found.reason == reason
