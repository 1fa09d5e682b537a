"""The companion: a live conversation with one elder, its settings, and the prompt of each answer.

The stable part of a prompt comes first: system, then the history, then the memories together with the question.
An engine that keeps what it has computed then begins each answer where the last one ended.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kernel.ids import ElderId, TenantId
from kernel.memory import Memory
from kernel.prompt import without_markers
from kernel.retrieval import Found
from kernel.sample import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Emotion:
    """One emotion under its two names, and how it is spoken."""

    zh: str
    en: str
    voice: str  #: file of the reference recording, for a voice that copies one
    voice_text: str  #: what is said in that recording
    voice_language: str
    pitch: float  #: of the calm voice's
    rate: float  #: of the calm voice's

    def name(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """How an answer is generated: `fast`, `balanced` or `quality`."""

    max_new_tokens: int
    temperature: float  #: 0: the likeliest token each time
    top_p: float
    top_k: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VramBudget:
    """Of one GPU, in GB. Weights and cache together are what the companion's process may take."""

    weights_and_cache: float
    speech: float  #: left for speech in and out
    system: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CompanionWords:
    """One language's words, from config/prompts/companion/{en,zh}.yaml."""

    system: str  #: template with {name} and {emotions}
    memories_head: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CompanionSettings:
    """config/companion.yaml, where each is explained."""

    model: str
    fallback_model: str
    device: str
    dtype: str
    profiles: Mapping[str, Profile]
    default_profile: str
    max_context_tokens: int
    max_history_rounds: int
    max_memory_fragments: int
    generation_timeout_seconds: float
    prefill_tokens: int
    kept_conversations: int
    static_cache: bool
    vram: VramBudget
    emotions: tuple[Emotion, ...]
    default_emotion: int  #: its place among `emotions`
    max_message_bytes: int
    max_utterance_seconds: float

    def profile(self, name: str) -> Profile:
        return self.profiles.get(name, self.profiles[self.default_profile])

    def emotion_names(self, language: str) -> list[str]:
        return [emotion.name(language) for emotion in self.emotions]

    @property
    def allowed_emotions(self) -> list[str]:
        """In both languages: a model that is spoken to in one may feel in the other."""
        return [*self.emotion_names("zh"), *self.emotion_names("en")]

    def emotion(self, name: str) -> Emotion:
        """The one of this name in either language; the default one for any other."""
        named = (emotion for emotion in self.emotions if name in (emotion.zh, emotion.en))
        return next(named, self.emotions[self.default_emotion])


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What one answer is made from."""

    tenant: TenantId
    elder: ElderId
    name: str  #: the elder's
    language: str
    conversation: str  #: an id; answers of one conversation begin alike
    user_input: str
    found: Found  #: what was looked up, and how sure it is
    history: Sequence[Message]  #: rounds of a user's and an assistant's message
    profile: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """How many answers come before this one."""

    place: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What the answer that now begins was given of what was looked up, and who gives it."""

    memories: Sequence[Memory]
    model: str  #: the version's tag, or the large model's name
    is_refused: bool = False  #: nothing fitted, and nothing is generated


def build_prompt(
    words: CompanionWords,
    *,
    name: str,
    emotions: Sequence[str],
    user_input: str,
    memories: Sequence[str] = (),
    history: Sequence[Message] = (),
) -> tuple[Message, ...]:
    """System, history, then the memories with the question."""
    shown = "\n".join(f"- {memory}" for memory in memories)
    system = words.system.format(name=name, emotions=", ".join(f"[{emotion}]" for emotion in emotions))
    asked = f"{words.memories_head}\n{shown}\n\n{user_input}" if memories else user_input
    return (
        Message(role="system", content=without_markers(system)),
        *(Message(role=turn.role, content=without_markers(turn.content)) for turn in history),
        Message(role="user", content=without_markers(asked)),
    )


def truncate_history(
    history: Sequence[Message], *, most_rounds: int, room: int, cost: Callable[[Sequence[Message]], int]
) -> list[Message]:
    """The newest rounds that fit into `room` tokens, and one round whatever it costs. `cost` counts a round's."""
    kept: list[Message] = []
    for count, one in enumerate(reversed(rounds(history)[-most_rounds:])):
        room -= cost(one)
        if count and room < 0:
            break
        kept = [*one, *kept]
    return kept


def shorter(prompt: Sequence[Message]) -> tuple[Message, ...]:
    """Without the older half of its history, one round at least."""
    system, *history, asked = prompt
    told = rounds(history)
    return (system, *(message for one in told[(len(told) + 1) // 2 :] for message in one), asked)


def rounds(history: Sequence[Message]) -> list[list[Message]]:
    """Each begins with a user's message; what an assistant said before the first is left out."""
    found: list[list[Message]] = []
    for message in history:
        if message.role == "user":
            found.append([message])
        elif found:
            found[-1].append(message)
    return found
