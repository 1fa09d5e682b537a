"""Recollection: what a model says by itself, held against what retrieval found.

A small model that is shown two memories tells hardly better than chance whether one of them answers. But it learnt
the memories by heart, and asked alone it begins with the one that the question brings to its mind. Where retrieval is
in doubt, only what both came upon is shown. Where they disagree, nothing is remembered; but a model that remembers
something, if something else, is not at a loss, and what is likely meant is then shown alone.
"""

from collections.abc import Iterator, Sequence

from kernel.admission import admits_not_remembering
from kernel.language import WORD_OR_CHARACTER, sentences
from kernel.memory import Memory
from kernel.retrieval import Found

SAID = 16  #: tokens that are asked of the model alone: eight words and more
_HEARD = 8  #: words of it that are listened to; of Chinese, characters
_ALIKE = 4  #: of them, from which it begins as a memory does


def settled(found: Found, said: str, memories: Sequence[Memory]) -> Found | None:
    """What is shown after all, None where nothing is remembered. `said`: how the model begins when it is asked alone.

    What begins as no memory does and admits nothing is small talk, or about the elder: nothing is shown with that.
    """
    if found.is_sure or not found.memories:
        return found
    words = list(WORD_OR_CHARACTER.finditer(said))[:_HEARD]
    if words and admits_not_remembering(said[: words[-1].end()]):
        return None
    begun = _begun([word.group().casefold() for word in words], memories)
    if not begun:
        return Found(memories=(), is_sure=False)
    if begun & {memory.id for memory in found.memories}:
        return found
    return Found(memories=found.memories[:1], is_sure=True) if found.is_likely else None


def _begun(words: Sequence[str], memories: Sequence[Memory]) -> set[str]:
    """Ids of the memories of which a sentence begins most like this, if any does."""
    alike = {
        memory.id: max((_in_common(words, rest) for rest in _rests(memory.text)), default=0) for memory in memories
    }
    most = max(alike.values(), default=0)
    return {one for one, count in alike.items() if count == most} if most >= _ALIKE else set()


def _rests(text: str) -> Iterator[str]:
    """The text from each of its sentences on."""
    for sentence in sentences(text):
        yield text[text.index(sentence) :]


def _in_common(words: Sequence[str], text: str) -> int:
    """How many words both begin with."""
    count = 0
    for word, other in zip(words, WORD_OR_CHARACTER.finditer(text), strict=False):
        if word != other.group().casefold():
            break
        count += 1
    return count
