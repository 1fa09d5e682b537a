"""Kept caches: what a model computed for a conversation, whose next prompt begins alike."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import StaticCache


@dataclass
class KeptCache:
    """A cache, and the tokens that it holds."""

    cache: Any
    ids: list[int] = field(default_factory=list)

    def cut(self, length: int) -> None:
        if isinstance(self.cache, StaticCache):
            for layer in self.cache.layers:
                layer.cumulative_length.fill_(length)  # what stands behind it is masked, then written over
        else:
            self.cache.crop(length - len(self.ids))
        self.ids = self.ids[:length]


class KeptCaches:
    """Of the last conversations, each its own: nobody's answer begins with what another family's computed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, KeptCache] = OrderedDict()

    def take(self, conversation: str, ids: Sequence[int]) -> KeptCache | None:
        """Cut to what it has in common with `ids`, the last of which is always computed again."""
        kept = self._held.pop(conversation, None)
        if kept is None:
            return None
        common = 0
        for one, other in zip(kept.ids, ids[:-1], strict=False):
            if one != other:
                break
            common += 1
        kept.cut(common)
        return kept

    def keep(self, conversation: str, kept: KeptCache) -> None:
        if not conversation:
            return
        self._held[conversation] = kept
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    def clear(self) -> None:
        self._held.clear()
