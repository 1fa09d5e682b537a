"""The companion's model by transformers: on a GPU Qwen2.5-14B-Instruct, on a CPU any small one.

One answer at a time, computed in a thread of its own; the event loop only takes the pieces. What a reader would get
wrong: `generate` cannot be interrupted while it reads a prompt, so all but the prompt's last piece is read here, with
a look at the stop event between two pieces. What was computed for a conversation is kept: its next prompt begins alike.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import structlog
import torch
from transformers import (
    AsyncTextIteratorStreamer,
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    StaticCache,
    StoppingCriteria,
)

from adapters.kept_cache import KeptCache, KeptCaches
from kernel.companion import Asked, CompanionSettings, CompanionWords, Profile, build_prompt, shorter, truncate_history
from kernel.errors import BaseModelMissing, ContextTooLong, EngineUnavailable, GenerationTimeout, HeirloomError
from kernel.sample import Message

log = structlog.get_logger(__name__)

_GIGABYTE = 1_000_000_000
Prompt = tuple[Message, ...]


class QwenLLMService:
    """`folders`: where each model of the settings lies. `facts` are of the last answer: tokens and milliseconds."""

    def __init__(
        self, settings: CompanionSettings, words: Mapping[str, CompanionWords], *, folders: Mapping[str, Path]
    ) -> None:
        """Raises BaseModelMissing, and EngineUnavailable when neither model fits into memory.

        A fallback that is missing is only warned of: it may be put there before it is needed.
        """
        self._settings, self._words, self._folders = settings, words, folders
        self._device = _device(settings.device)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="companion")
        self._kept = KeptCaches(settings.kept_conversations)
        self.facts: dict[str, float] = {}
        self.fault: HeirloomError | None = None  #: why no model is loaded any more
        self._keep_budget()
        if missing := self._missing(settings.fallback_model):
            log.warning("companion.fallback_missing", model=settings.fallback_model, how=missing.details["how"])
        if not self._load_model(settings.model) and not self._load_model(settings.fallback_model):
            raise self._out_of_memory()

    def build_prompt(self, asked: Asked) -> tuple[Prompt, int]:
        """And how many of the memories it shows.

        Within max_context_tokens, the answer counted: the oldest rounds go first, then the last memories.

        Raises ContextTooLong when the question alone does not fit.
        """
        settings = self._settings
        memories = [memory.text for memory in asked.found.memories[: settings.max_memory_fragments]]
        room = self._limit - self._settings.profile(asked.profile).max_new_tokens
        while True:
            bare = self._prompt(asked, memories, ())
            history = self._truncate_history(asked, bare, room)
            prompt = self._prompt(asked, memories, history)
            if self.count(prompt) <= room:
                return prompt, len(memories)
            if not memories:
                raise ContextTooLong(limit=self._limit)
            memories.pop()

    async def generate_stream(self, prompt: Prompt, *, profile: str, conversation: str = "") -> AsyncIterator[str]:
        """Pieces of text as they come; closing it stops the generation within a token.

        Raises GenerationTimeout, EngineUnavailable.
        """
        work = _Work(
            prompt=prompt,
            profile=self._settings.profile(profile),
            conversation=conversation,
            streamer=_Streamer(self._tokenizer),
            deadline=time.monotonic() + self._settings.generation_timeout_seconds,
        )
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._answer, work)
        try:
            async for piece in work.streamer:
                if piece:
                    yield piece
            await running
        finally:
            work.stop.set()
            with contextlib.suppress(Exception):  # it was raised above, or nobody waits for it any more
                await asyncio.shield(running)

    def count(self, prompt: Sequence[Message]) -> int:
        """Tokens, as the model reads them."""
        return len(self._tokenizer(self.render(prompt), add_special_tokens=False).input_ids)

    def render(self, prompt: Sequence[Message]) -> str:
        turns = [{"role": one.role, "content": one.content} for one in prompt]
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    @property
    def name(self) -> str:
        return self._loaded

    # ---- the prompt -----------------------------------------------------------------------------------

    def _prompt(self, asked: Asked, memories: Sequence[str], history: Sequence[Message]) -> Prompt:
        return build_prompt(
            self._words[asked.language],
            name=asked.name,
            emotions=self._settings.emotion_names(asked.language),
            user_input=asked.user_input,
            memories=memories,
            history=history,
        )

    def _truncate_history(self, asked: Asked, bare: Prompt, room: int) -> list[Message]:
        system, question = bare
        without = self.count(bare)
        return truncate_history(
            asked.history,
            most_rounds=self._settings.max_history_rounds,
            room=room - without,
            cost=lambda one: self.count([system, *one, question]) - without,
        )

    # ---- the models -----------------------------------------------------------------------------------

    def _load_model(self, name: str) -> bool:
        """In the place of what is loaded; False when memory is short. Raises BaseModelMissing, and lets nothing go."""
        if missing := self._missing(name):
            raise missing
        self._let_model_go()
        folder = self._folders[name]
        try:
            model = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype=self._dtype(), device_map={"": self._device}
            )
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            log.warning("companion.out_of_memory", model=name, at="load")
            return False
        self._use(name, model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True))
        return True

    def _load_fallback_model(self) -> None:
        """Raises EngineUnavailable when it cannot be loaded; the model that ran out of memory then answers the next."""
        try:
            if self._load_model(self._settings.fallback_model):
                return
        except Exception as error:
            log.warning("companion.fallback_broke", model=self._settings.fallback_model, error=type(error).__name__)
        self._ensure_model()
        raise self._out_of_memory()

    def _ensure_model(self) -> None:
        """Raises `fault`. What failed is tried again with the next answer: memory may be free by then."""
        if self._model is not None:
            return
        try:
            self.fault = None if self._load_model(self._settings.model) else self._out_of_memory()
        except HeirloomError as error:
            self.fault = error
        except Exception as error:
            log.error("companion.broke", error=type(error).__name__, at="load")
            self.fault = EngineUnavailable(engine="companion", reason="its model could not be loaded; see its log")
        if self.fault is not None:
            raise self.fault

    def _missing(self, name: str) -> BaseModelMissing | None:
        folder = self._folders[name]
        if (folder / "config.json").is_file():
            return None
        return BaseModelMissing(model=name, how=f"Run 'heirloom base prepare {name}', or put it at {folder}.")

    def _use(self, name: str, model: Any, tokenizer: Any) -> None:
        self._loaded, self._model, self._tokenizer = name, model, tokenizer
        most = int(getattr(self._model.config, "max_position_embeddings", 0) or self._settings.max_context_tokens)
        self._limit = min(self._settings.max_context_tokens, most)
        self._log_vram_usage("load")

    def _dtype(self) -> Any:
        if self._settings.dtype == "auto":
            return "auto" if self._device.startswith("cuda") else torch.float32
        return getattr(torch, self._settings.dtype)

    def _let_model_go(self) -> None:
        self._model = None
        self._kept.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _keep_budget(self) -> None:
        """More than this process's share of the GPU is out of memory for it: speech has the rest."""
        if self._device.startswith("cuda"):
            whole = torch.cuda.get_device_properties(self._device).total_memory
            share = self._settings.vram.weights_and_cache * _GIGABYTE / whole
            torch.cuda.set_per_process_memory_fraction(min(1.0, share), self._device)

    def _log_vram_usage(self, at: str) -> None:
        facts: dict[str, float] = {"process_gb": psutil.Process().memory_info().rss / _GIGABYTE}
        if self._device.startswith("cuda"):
            budget = self._settings.vram
            facts = {
                "total_gb": torch.cuda.get_device_properties(self._device).total_memory / _GIGABYTE,
                "allocated_gb": torch.cuda.memory_allocated(self._device) / _GIGABYTE,
                "reserved_gb": torch.cuda.memory_reserved(self._device) / _GIGABYTE,
                "peak_gb": torch.cuda.max_memory_allocated(self._device) / _GIGABYTE,
                "budget_gb": budget.weights_and_cache,
                "speech_gb": budget.speech,
                "system_gb": budget.system,
            }
        rounded = {name: round(value, 2) for name, value in facts.items()}
        log.info("companion.vram", at=at, model=self._loaded, device=self._device, **rounded)

    # ---- an answer, in the thread ---------------------------------------------------------------------

    def _answer(self, work: "_Work") -> None:
        """Out of memory: once with fewer tokens, then with the smaller model; each goes on where the last stopped."""
        try:
            self._ensure_model()
            for recover in (self._generate, self._generate_with_reduced_tokens, self._generate_with_fallback):
                try:
                    recover(work)
                    return
                except RuntimeError as error:
                    if not _is_out_of_memory(error):
                        raise
                log.warning("companion.out_of_memory", model=self._loaded, at=recover.__name__)
                self._free()
                work.streamer.end()
            raise self._out_of_memory()
        finally:
            work.streamer.finish()

    def _generate_with_reduced_tokens(self, work: "_Work") -> None:
        half = max(32, work.profile.max_new_tokens // 2)
        work.prompt, work.most = shorter(work.prompt), half
        self._generate(work)

    def _generate_with_fallback(self, work: "_Work") -> None:
        if self._loaded != self._settings.fallback_model:
            self._load_fallback_model()
            work.streamer.tokenizer = self._tokenizer
        self._generate(work)

    def _free(self) -> None:
        self._kept.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def _generate(self, work: "_Work") -> None:
        began = time.monotonic()
        model: Any = self._model
        text = self.render(work.prompt) + work.streamer.said
        ids = self._tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids.to(self._device)
        kept = self._kept.take(work.conversation, ids[0].tolist()) or KeptCache(cache=self._new_cache())
        reused = len(kept.ids)
        self._prefill(ids, kept, work)
        if not work.is_over:
            wanted = work.most or work.profile.max_new_tokens
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                past_key_values=kept.cache,
                streamer=work.streamer,
                stopping_criteria=[_Stop(work)],
                max_new_tokens=max(1, min(wanted, self._limit - ids.shape[1])),
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
                **_sampling(work.profile),
            )
            kept.ids = out[0].tolist()[:-1]  # the last token was chosen and not yet read
            self.facts = {
                "prompt_tokens": ids.shape[1],
                "reused_tokens": reused,
                "new_tokens": out.shape[1] - ids.shape[1],
                "seconds": round(time.monotonic() - began, 3),
            }
        self._kept.keep(work.conversation, kept)
        self._log_vram_usage("answer")
        if work.is_late:
            raise GenerationTimeout(seconds=f"{self._settings.generation_timeout_seconds:g}")

    def _prefill(self, ids: torch.Tensor, kept: KeptCache, work: "_Work") -> None:
        """All but the last piece of what is new in the prompt."""
        model: Any = self._model
        step = self._settings.prefill_tokens
        while ids.shape[1] - len(kept.ids) > step and not work.is_over:
            at = len(kept.ids)
            piece = ids[:, at : at + step]
            model(
                input_ids=piece,
                attention_mask=torch.ones_like(ids[:, : at + step]),
                position_ids=torch.arange(at, at + step, device=ids.device)[None],
                past_key_values=kept.cache,
                use_cache=True,
                logits_to_keep=1,
            )
            kept.ids = [*kept.ids, *piece[0].tolist()]

    def _new_cache(self) -> Any:
        model: Any = self._model
        if self._settings.static_cache:
            return StaticCache(config=model.config, max_cache_len=self._limit)
        return DynamicCache(config=model.config)

    def _out_of_memory(self) -> EngineUnavailable:
        reason = "memory is short; choose a smaller model or max_context_tokens in companion.yaml"
        return EngineUnavailable(engine="companion", reason=reason)


@dataclass
class _Work:
    """One answer under way. `stop` is set by who waits for it."""

    prompt: Prompt
    profile: Profile
    conversation: str
    streamer: "_Streamer"
    deadline: float
    most: int = 0  #: new tokens; 0 for the profile's
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def is_late(self) -> bool:
        return not self.stop.is_set() and time.monotonic() > self.deadline

    @property
    def is_over(self) -> bool:
        return self.stop.is_set() or time.monotonic() > self.deadline


class _Stop(StoppingCriteria):
    def __init__(self, work: _Work) -> None:
        self._work = work

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._work.is_over, device=input_ids.device)


class _Streamer(AsyncTextIteratorStreamer):
    """Pieces for the event loop; `said` is all that was told, so that another attempt can go on from there."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.said = ""

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.said += text
        self.loop.call_soon_threadsafe(self.text_queue.put_nowait, text)

    def finish(self) -> None:
        """`end`, which `generate` calls too, tells what is held back and is ready for another prompt."""
        self.end()
        self.loop.call_soon_threadsafe(self.text_queue.put_nowait, self.stop_signal)


def _sampling(profile: Profile) -> dict[str, Any]:
    if profile.temperature <= 0:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    return {
        "do_sample": True,
        "temperature": profile.temperature,
        "top_p": profile.top_p,
        "top_k": profile.top_k,
    }


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    return "cuda:0" if wanted == "cuda" else wanted


def _is_out_of_memory(error: RuntimeError) -> bool:
    """A GPU's is a class of its own, a CPU's a sentence."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
