"""A GGUF file's header: what an engine must know of a model before it loads it.

Only the header is read (50 ms for 100,000 tokens; the `gguf` package takes 2 s). The chat template inside is
the one that the model was trained with, so both engines render their prompts with it and with no other.

    magic "GGUF" | version u32 | tensors u64 | pairs u64 | pairs: key string, type u32, value
    string: length u64, bytes.  array: type u32, length u64, values.  Little-endian.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import functools
import json
import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kernel.errors import StageFailed
from kernel.sample import Message

MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_NEEDED_ARRAY = "tokenizer.ggml.tokens"
_BROKEN = (OSError, ValueError, KeyError, struct.error, IndexError)
_CACHED_BYTES = 2  #: of one number


@dataclass(frozen=True, kw_only=True, slots=True)
class GgufFile:
    """`ends`: the tokens, as text, that end a turn."""

    chat_template: str
    bos: str
    eos: str
    ends: tuple[str, ...]
    trained_context: int  #: tokens
    width: int  #: of its hidden layers
    cache_bytes_a_token: int  #: keys and values of all layers, as f16

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt as one text, up to where the answer begins, as transformers renders it; and on with the answer's
        beginning, where the last message is the assistant's."""
        if messages[-1].role == "assistant":
            return self.render(messages[:-1]) + messages[-1].content
        return _template(self.chat_template).render(
            messages=[{"role": message.role, "content": message.content} for message in messages],
            bos_token=self.bos,
            eos_token=self.eos,
            add_generation_prompt=True,
            raise_exception=_refuse,
            strftime_now=lambda form: datetime.now().astimezone().strftime(form),
        )


def is_adapter(path: Path) -> bool:
    """Whether it is a LoRA adapter for a base that is another file. Raises StageFailed as `read_gguf` does."""
    return bool(_header(path).get("general.type") == "adapter")


def read_gguf(path: Path, *, chats: bool = True) -> GgufFile:
    """Raises StageFailed for what is no GGUF, is cut off within its header, or has no chat template, if it `chats`."""
    pairs = _header(path)
    template = pairs.get("tokenizer.chat_template", "")
    if chats and not template:
        raise StageFailed(stage="publish", reason=f"{path.name} has no chat template inside")
    architecture = pairs.get("general.architecture", "")
    return GgufFile(
        chat_template=template,
        bos=_token(pairs, "bos"),
        eos=_token(pairs, "eos"),
        ends=tuple(dict.fromkeys(text for which in ("eos", "eot") if (text := _token(pairs, which)))),
        trained_context=int(pairs.get(f"{architecture}.context_length", 0)),
        width=int(pairs.get(f"{architecture}.embedding_length", 0)),
        cache_bytes_a_token=_cache_bytes(pairs, architecture),
    )


def _header(path: Path) -> dict[str, Any]:
    try:
        return _read_pairs(path)
    except (OSError, ValueError, KeyError, struct.error, IndexError) as error:
        raise StageFailed(stage="publish", reason=f"{path.name} is not a whole GGUF file") from error


def _cache_bytes(pairs: dict[str, Any], architecture: str) -> int:
    """Too much rather than too little where the file says it layer by layer."""
    layers, heads, width = (
        int(pairs.get(f"{architecture}.{key}", 0))
        for key in ("block_count", "attention.head_count", "embedding_length")
    )
    cached = pairs.get(f"{architecture}.attention.head_count_kv") or heads
    own = width // heads if heads else 0
    lengths = [int(pairs.get(f"{architecture}.attention.{one}_length", own)) for one in ("key", "value")]
    return layers * int(cached) * sum(lengths) * _CACHED_BYTES


def _token(pairs: dict[str, Any], which: str) -> str:
    tokens, number = pairs.get(_NEEDED_ARRAY, ()), pairs.get(f"tokenizer.ggml.{which}_token_id", -1)
    return str(tokens[number]) if 0 <= number < len(tokens) else ""


def _read_pairs(path: Path) -> dict[str, Any]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        magic, version, _, count = struct.unpack_from("<4sIQQ", data, 0)
        if magic != MAGIC or version < 2:
            raise ValueError(magic)
        pairs: dict[str, Any] = {}
        at = 24
        for _ in range(count):
            key, at = _string(data, at)
            (kind,) = struct.unpack_from("<I", data, at)
            pairs[key], at = _value(data, at + 4, kind, is_needed=key == _NEEDED_ARRAY)
        return pairs


def _value(data: mmap.mmap, at: int, kind: int, *, is_needed: bool) -> tuple[Any, int]:
    if kind == _STRING:
        return _string(data, at)
    if kind == _ARRAY:
        return _array(data, at, is_needed=is_needed)
    form = "<" + _SCALARS[kind]
    return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)


def _array(data: mmap.mmap, at: int, *, is_needed: bool) -> tuple[list[str], int]:
    """Arrays of numbers, and those that nobody asked for, are stepped over and come back empty."""
    kind, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if kind != _STRING:
        return [], at + count * struct.calcsize("<" + _SCALARS[kind])
    texts: list[str] = []
    for _ in range(count):
        end = at + 8 + int.from_bytes(data[at : at + 8], "little")
        if end > len(data):
            raise ValueError(end)
        if is_needed:
            texts.append(data[at + 8 : end].decode(errors="replace"))
        at = end
    return texts, at


def _string(data: mmap.mmap, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + length
    if end > len(data):
        raise ValueError(end)
    return data[at + 8 : end].decode(), end


class _GenerationTag(Extension):
    """`{% generation %}` marks, for a trainer, what the loss is on; a reader passes over it."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own form

    def parse(self, parser: Parser) -> Node | list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _template(source: str) -> jinja2.Template:
    """With transformers' settings; sandboxed, since a template comes with a file."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
    )
    environment.filters["tojson"] = functools.partial(json.dumps, ensure_ascii=False)
    return environment.from_string(source)


def _refuse(reason: str) -> None:
    raise jinja2.TemplateError(reason)
