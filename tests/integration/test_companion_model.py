"""QwenLLMService on a model of two layers: its budget, its stream, its stop, and what it does out of memory."""

import asyncio
import functools
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch

from adapters.qwen_llm import QwenLLMService
from config.companion_config import read_companion, read_companion_words
from kernel.companion import Asked, Profile
from kernel.errors import BaseModelMissing, ContextTooLong, EngineUnavailable, GenerationTimeout
from kernel.ids import ElderId, TenantId, memory_id
from kernel.memory import Memory
from kernel.retrieval import Found
from kernel.sample import Message
from tests.tiny_model import make_tiny_base

pytestmark = pytest.mark.integration
GREEDY = Profile(max_new_tokens=24, temperature=0.0, top_p=1.0, top_k=50)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("companion") / "tiny"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    make_tiny_base(folder)
    yield folder
    torch.set_num_threads(threads)


def service(folder: Path, *, second: Path | None = None, **changes: Any) -> QwenLLMService:
    settings = replace(
        read_companion(environ={}),
        model="first",
        fallback_model="second",
        device="cpu",
        dtype="float32",
        profiles={"greedy": GREEDY, "long": replace(GREEDY, max_new_tokens=200)},
        default_profile="greedy",
        max_context_tokens=480,
        prefill_tokens=16,
    )
    settings = replace(settings, **changes)
    return QwenLLMService(settings, read_companion_words(), folders={"first": folder, "second": second or folder})


def asked(question: str = "Where?", *, rounds: int = 0, memories: int = 0) -> Asked:
    turns = [
        Message(role=role, content=f"{role} said thing number {number}")  # type: ignore[arg-type]
        for number in range(rounds)
        for role in ("user", "assistant")
    ]
    told = [f"I remember the day number {number}." for number in range(memories)]
    return Asked(
        tenant=TenantId("t"),
        elder=ElderId("e"),
        name="Margaret",
        language="en",
        conversation="c",
        user_input=question,
        found=Found(
            memories=[
                Memory(id=memory_id("", one), question="", answer=one, language="en", personal_data=()) for one in told
            ],
            is_sure=False,
        ),
        history=turns,
        profile="greedy",
    )


def answer(model: QwenLLMService, asked: Asked, *, profile: str = "greedy", conversation: str = "") -> str:
    async def run() -> str:
        prompt, _ = model.build_prompt(asked)
        stream = model.generate_stream(prompt, profile=profile, conversation=conversation)
        return "".join([piece async for piece in stream])

    return asyncio.run(run())


# ---- the prompt ------------------------------------------------------------------------------------------


def test_the_history_is_cut_by_its_tokens_and_a_round_is_kept(folder: Path) -> None:
    model = service(folder)
    for rounds in (0, 1, 5, 40):
        prompt, _ = model.build_prompt(asked(rounds=rounds, memories=3))
        assert model.count(prompt) + GREEDY.max_new_tokens <= 480
        assert len(prompt) >= 2 + 2 * min(rounds, 1)
    assert len(prompt) < 2 + 2 * 10  # the budget cut it, not the number of rounds
    assert prompt[-2].content.endswith("39") and "day number 2" in prompt[-1].content


def test_memories_go_before_the_last_round_does_and_a_question_that_is_too_long_is_refused(folder: Path) -> None:
    model = service(folder, max_context_tokens=300)
    long = asked("word " * 45, rounds=3, memories=3)
    prompt, shown = model.build_prompt(long)
    assert len(prompt) == 4 and prompt[-1].content.count("day number") == shown < 3
    with pytest.raises(ContextTooLong):
        model.build_prompt(asked("word " * 400))


# ---- the stream ------------------------------------------------------------------------------------------


def test_the_stream_says_what_plain_generate_says_with_what_was_computed_before_and_without(folder: Path) -> None:
    for changes in ({}, {"kept_conversations": 0}, {"static_cache": True}, {"prefill_tokens": 4000}):
        model = service(folder, **changes)
        for question, rounds in (("Where?", 1), ("And then?", 2), ("And then?", 2), ("Other", 1)):
            said = answer(model, asked(question, rounds=rounds), conversation="c")
            assert said == plainly(model, asked(question, rounds=rounds)), changes
            assert said
        reused = model.facts["reused_tokens"]
        assert reused > 100 if changes != {"kept_conversations": 0} else reused == 0


def test_what_one_conversation_computed_is_nothing_to_another(folder: Path) -> None:
    model = service(folder)
    answer(model, asked(), conversation="ours")
    answer(model, asked(), conversation="theirs")
    assert model.facts["reused_tokens"] == 0


def test_an_answer_that_nobody_waits_for_stops_within_a_tenth_of_a_second(folder: Path) -> None:
    async def stopped() -> float:
        prompt, _ = model.build_prompt(asked())
        async with aclosing(model.generate_stream(prompt, profile="long", conversation="c")) as stream:
            await anext(stream)
            began = time.monotonic()
        return time.monotonic() - began

    model = service(folder)
    assert min(asyncio.run(stopped()) for _ in range(3)) < 0.1
    assert model.facts["new_tokens"] < 200
    assert answer(model, asked(), conversation="c") == plainly(model, asked())  # what it kept is right


def test_a_prompt_under_way_is_stopped_between_two_of_its_pieces(folder: Path) -> None:
    model = service(folder)
    read: list[int] = []

    async def run() -> None:
        stream = model.generate_stream(model.build_prompt(asked(rounds=10))[0], profile="greedy")
        first = asyncio.ensure_future(anext(stream))  # type: ignore[arg-type]
        while not read:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})

    with watched(model, lambda count: read.append(count) or time.sleep(0.02)):
        asyncio.run(run())
    assert len(read) < 8


def test_an_answer_that_takes_too_long_is_broken_off(folder: Path) -> None:
    with pytest.raises(GenerationTimeout):
        answer(service(folder, generation_timeout_seconds=0.0), asked())


# ---- out of memory ---------------------------------------------------------------------------------------


def test_out_of_memory_once_the_answer_goes_on_with_fewer_tokens(folder: Path) -> None:
    model = service(folder)
    whole = answer(model, asked(rounds=4))
    with exhausted(model, at=[25]):
        said = answer(model, asked(rounds=4))
    assert model.name == "first"
    assert len(said) > 3 and said[: len(whole) // 4] == whole[: len(whole) // 4]


def test_out_of_memory_again_the_smaller_model_goes_on(folder: Path) -> None:
    model = service(folder)
    with exhausted(model, at=[20, 21]):
        said = answer(model, asked(rounds=4))
    assert model.name == "second" and said
    assert answer(model, asked()) == plainly(model, asked())


def test_out_of_memory_for_good_is_a_typed_error_and_the_next_answer_is_tried_again(folder: Path) -> None:
    model = service(folder)
    with exhausted(model, at=range(10_000)), pytest.raises(EngineUnavailable, match="memory is short"):
        answer(model, asked())
    assert answer(model, asked())


def test_a_fallback_that_is_missing_is_told_at_the_start(folder: Path, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        service(folder, second=tmp_path / "absent")
    told = [line for line in logs if line["event"] == "companion.fallback_missing"]
    assert "heirloom base prepare second" in told[0]["how"]


def test_out_of_memory_without_a_fallback_costs_one_answer_and_not_the_next(folder: Path, tmp_path: Path) -> None:
    model = service(folder, second=tmp_path / "absent")
    whole = answer(model, asked())
    with exhausted(model, at=range(10_000)), pytest.raises(EngineUnavailable, match="memory is short"):
        answer(model, asked())
    assert (model.name, model.fault) == ("first", None)
    assert answer(model, asked()) == whole


@pytest.mark.parametrize("wrong", [torch.OutOfMemoryError("CUDA out of memory."), OSError("no weights in it")])
def test_a_fallback_that_cannot_be_loaded_brings_the_model_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, wrong: Exception
) -> None:
    model = service(folder)
    whole = answer(model, asked())
    failing(monkeypatch, [wrong])
    with exhausted(model, at=range(10_000)), pytest.raises(EngineUnavailable, match="memory is short"):
        answer(model, asked())
    assert (model.name, model.fault) == ("first", None)
    assert answer(model, asked()) == whole


def test_with_no_model_left_the_fault_is_told_until_one_can_be_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = service(folder)
    whole = answer(model, asked())
    full = torch.OutOfMemoryError("CUDA out of memory.")
    failing(monkeypatch, [full, full, OSError("no weights in it")])
    with exhausted(model, at=range(10_000)), pytest.raises(EngineUnavailable, match="memory is short"):
        answer(model, asked())
    assert isinstance(model.fault, EngineUnavailable)
    with pytest.raises(EngineUnavailable, match="could not be loaded"):
        answer(model, asked())
    assert answer(model, asked()) == whole
    assert model.fault is None


def test_a_model_that_does_not_fit_when_it_is_loaded_makes_room_for_the_smaller(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")])
    assert service(folder).name == "second"


def test_a_model_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(BaseModelMissing, match="heirloom base prepare first"):
        service(tmp_path)


# ---- below -----------------------------------------------------------------------------------------------


def plainly(model: QwenLLMService, asked: Asked) -> str:
    """By transformers alone."""
    text = model.render(model.build_prompt(asked)[0])
    ids = model._tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    out = model._model.generate(ids, max_new_tokens=GREEDY.max_new_tokens, do_sample=False)  # type: ignore[union-attr]
    return str(model._tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))


def failing(monkeypatch: pytest.MonkeyPatch, errors: list[Exception]) -> None:
    """The next models to be loaded fail so, one after the other; then they load."""
    from transformers import AutoModelForCausalLM

    load, left = AutoModelForCausalLM.from_pretrained, iter(errors)

    def loaded(*args: Any, **kwargs: Any) -> Any:
        if error := next(left, None):
            raise error
        return load(*args, **kwargs)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", loaded)


class watched:
    """Calls `look` with the number of each forward, of whatever model is loaded."""

    def __init__(self, model: QwenLLMService, look: Any) -> None:
        self._look, self._count = look, 0

    def __enter__(self) -> None:
        from transformers import LlamaForCausalLM

        self._forward = forward = LlamaForCausalLM.forward

        @functools.wraps(forward)  # generate reads its signature
        def looked_at(*args: Any, **kwargs: Any) -> Any:
            self._count += 1
            self._look(self._count - 1)
            return forward(*args, **kwargs)

        LlamaForCausalLM.forward = looked_at

    def __exit__(self, *_: object) -> None:
        from transformers import LlamaForCausalLM

        LlamaForCausalLM.forward = self._forward


def exhausted(model: QwenLLMService, *, at: Any) -> watched:
    """As a GPU is: the forwards of these numbers raise what torch raises."""

    def look(count: int) -> None:
        if count in at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    return watched(model, look)
