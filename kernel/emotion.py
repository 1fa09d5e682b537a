"""Emotion: the tags of an answer, `[Happy] Good morning`, read out of a stream that may be cut anywhere.

A tag stands in half or full width brackets and speaks for all that follows it, and for the few words that may stand
before the first. One is decided on character by character, so that where the stream is cut never changes the parse.
"""

import codecs
import unicodedata
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

OPENING = 20  #: characters in which the first tag must begin
_OPEN, _CLOSE = "[［【", "]］】"
_SPARE = 4  #: blanks within a tag
_LONGEST_UNKNOWN = 12  #: letters of a tag that is none of those allowed


@dataclass(frozen=True, kw_only=True, slots=True)
class Felt:
    """A piece of an answer, and the emotion it is said with, by its name in the list of those allowed."""

    emotion: str
    text: str


class EmotionParser:
    """One answer's parser. `emotion` is the one that holds now."""

    def __init__(self, allowed: Sequence[str], default: str) -> None:
        self._names = {_folded(name): name for name in allowed}
        self._longest = 2 + _SPARE + max([_LONGEST_UNKNOWN, *map(len, allowed)])
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_opening = True
        self._before = ""  # what was said before any emotion was known
        self._tag = ""  # from its bracket on
        self.emotion = default

    async def parse(self, pieces: AsyncIterator[str | bytes]) -> AsyncIterator[Felt]:
        """What is felt, as the pieces come; no text is lost, and no tag is in it."""
        async for piece in pieces:
            for felt in self.feed(piece):
                yield felt
        for felt in self.end():
            yield felt

    def feed(self, piece: str | bytes) -> list[Felt]:
        """Bytes are UTF-8, and may end inside a character."""
        text = piece if isinstance(piece, str) else self._characters.decode(piece)
        return _joined(felt for character in text for felt in self._read(character))

    def end(self) -> list[Felt]:
        """What was held back: an answer without a tag, or a bracket that was never closed."""
        last = self.feed(self._characters.decode(b"", final=True))
        rest, self._tag = self._tag, ""
        return _joined([*last, *self._said(rest), *self._settled()])

    def _read(self, character: str) -> list[Felt]:
        if character in _OPEN:
            left, self._tag = self._tag, character
            return self._said(left)
        if not self._tag:
            return self._said(character)
        self._tag += character
        if character in _CLOSE:
            tag, self._tag = self._tag, ""
            return self._closed(tag)
        if len(self._tag) > self._longest:
            tag, self._tag = self._tag, ""
            return self._said(tag)
        return []

    def _closed(self, tag: str) -> list[Felt]:
        name = self._names.get(_folded(tag[1:-1]))
        if name is not None:
            before = self._settled(name)
            self.emotion = name
            return before
        if self._is_opening and not self._before.strip() and tag[1:-1].strip().isalpha():
            return self._settled()  # meant as an emotion, and none of ours: it is not read aloud
        return self._said(tag)

    def _said(self, text: str) -> list[Felt]:
        if not self._is_opening:
            return [Felt(emotion=self.emotion, text=text)] if text else []
        self._before += text
        return self._settled() if len(self._before) > OPENING else []

    def _settled(self, name: str | None = None) -> list[Felt]:
        """The opening is over: what was said in it is said with the emotion that is known now."""
        if not self._is_opening:
            return []
        self._is_opening = False
        self.emotion = name or self.emotion
        before, self._before = self._before, ""
        return [Felt(emotion=self.emotion, text=before)] if before else []


def _folded(name: str) -> str:
    """Whatever the width and the case of its letters."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _joined(felt: Iterable[Felt]) -> list[Felt]:
    """Neighbours of one emotion as one piece."""
    pieces: list[Felt] = []
    for one in felt:
        if pieces and pieces[-1].emotion == one.emotion:
            one = Felt(emotion=one.emotion, text=pieces.pop().text + one.text)
        pieces.append(one)
    return pieces
