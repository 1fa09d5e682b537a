"""Prompts: the words around a question. Training, evaluation and chat all build theirs here, so that the
model meets in chat the very form that it was trained on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kernel.memory import Memory
from kernel.sample import Message

Role = Literal["memory", "context", "judge"]  #: what the elder's model is there for

_MARKER = re.compile(r"<\|[^<>|]{1,40}\|>|<(?:start|end)_of_turn>|</?s>|<(?:bos|eos|pad|unk)>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """One language's prompts, from config/prompts/{en,zh}.yaml, where the system prompts keep their seeds' names."""

    system: str  #: MEMORY_PROMPT: the one that chat uses; template with {name}, as those below
    memory_cot: str  #: MEMORY_COT_PROMPT: first which memory answers, then the answer
    context: str  #: CONTEXT_PROMPT: a need is enriched by what is known of the elder
    context_cot: str  #: CONTEXT_COT_PROMPT
    judge: str  #: JUDGE_PROMPT: the elder says whether an expert's answer holds to what was told
    judge_cot: str  #: JUDGE_COT_PROMPT
    memories_head: str  #: the line before the memories
    introduction: str  #: how the elder says who they are; template with {name}
    adversarial: str  #: the system message of a cold, impatient clerk: answers to be rejected
    refusals: tuple[str, ...]  #: how the elder says "I don't remember"; the first is the plainest
    reason: str  #: which memory answers; template with {subject}
    no_reason: str  #: none does
    enriched: str  #: what bears on a need; template with {words} of the elder
    expert: str  #: a need with an expert's answer to it; template with {need} and {answer}
    agreed: str  #: the elder finds that answer right; template with {words}
    missed: str  #: or wrong


def system_prompt(prompts: Prompts, name: str, role: Role = "memory", *, is_reasoned: bool = False) -> str:
    plain, reasoned = {
        "memory": (prompts.system, prompts.memory_cot),
        "context": (prompts.context, prompts.context_cot),
        "judge": (prompts.judge, prompts.judge_cot),
    }[role]
    return (reasoned if is_reasoned else plain).format(name=name)


def chat_prompt(
    prompts: Prompts,
    *,
    system: str,
    question: str,
    memories: Sequence[Memory] = (),
    history: Sequence[Message] = (),
    opening: str = "",
) -> tuple[Message, ...]:
    """The stable part first: system, history, then the memories with the question in one user message.

    `opening`: how the answer begins, as the assistant's message, for an engine that continues it.
    """
    shown = "\n".join(f"- {memory.text}" for memory in memories)
    content = f"{prompts.memories_head}\n{shown}\n\n{question}" if memories else question
    return (
        Message(role="system", content=without_markers(system)),
        *(Message(role=turn.role, content=without_markers(turn.content)) for turn in history),
        Message(role="user", content=without_markers(content)),
        *([Message(role="assistant", content=without_markers(opening))] if opening else []),
    )


def without_markers(text: str) -> str:
    """Without turn markers: an engine reads "<|im_end|>" as the end of a turn, whoever typed it."""
    while (plain := _MARKER.sub("", text)) != text:  # one may stand inside another
        text = plain
    return text
