"""Prompts: the words around a question. Training, evaluation and chat all build theirs here, so that the
model meets in chat the very form that it was trained on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kernel.memory import Memory
from kernel.sample import Message

_MARKER = re.compile(r"<\|[^<>|]{1,40}\|>|<(?:start|end)_of_turn>|</?s>|<(?:bos|eos|pad|unk)>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """One language's prompts, from config/prompts/{en,zh}.yaml."""

    system: str  #: template with {name}
    memories_head: str  #: the line before the memories
    introduction: str  #: how the elder says who they are; template with {name}
    adversarial: str  #: the system message of a cold, impatient clerk: answers to be rejected
    refusals: tuple[str, ...]  #: how the elder says "I don't remember"; the first is the plainest


def system_prompt(prompts: Prompts, name: str) -> str:
    return prompts.system.format(name=name)


def chat_prompt(
    prompts: Prompts,
    *,
    system: str,
    question: str,
    memories: Sequence[Memory] = (),
    history: Sequence[Message] = (),
) -> tuple[Message, ...]:
    """The stable part first: system, history, then the memories with the question in one user message."""
    shown = "\n".join(f"- {memory.text}" for memory in memories)
    content = f"{prompts.memories_head}\n{shown}\n\n{question}" if memories else question
    return (
        Message(role="system", content=_plain(system)),
        *(Message(role=turn.role, content=_plain(turn.content)) for turn in history),
        Message(role="user", content=_plain(content)),
    )


def _plain(text: str) -> str:
    """Without turn markers: an engine reads "<|im_end|>" as the end of a turn, whoever typed it."""
    while (plain := _MARKER.sub("", text)) != text:  # one may stand inside another
        text = plain
    return text
