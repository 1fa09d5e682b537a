"""Topics and shades (L1): what the life is about, and the traits that show in it, each with its evidence."""

from dataclasses import dataclass

from kernel.ids import MemoryId


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    name: str
    keywords: tuple[str, ...]
    memory_ids: tuple[MemoryId, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shade:
    name: str
    memory_ids: tuple[MemoryId, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Topics:
    items: tuple[Topic, ...]
    shades: tuple[Shade, ...]
