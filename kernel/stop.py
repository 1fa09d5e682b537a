"""Stop sequences: texts at which an answer ends. Neither they nor what comes after them is said."""

from collections.abc import Sequence


class StopSequences:
    """Those of one answer, which comes in pieces: the end of a piece that may begin one is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.is_met = False

    def feed(self, piece: str) -> str:
        """What of the answer may now be said."""
        text = self._held + piece
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        self.is_met = bool(found)
        end = min(found) if found else len(text) - max((_begun(text, stop) for stop in self._stops), default=0)
        self._held = text[end:]
        return text[:end]

    def rest(self) -> str:
        """What was held back, where the answer ends before any is met."""
        return "" if self.is_met else self._held


def _begun(text: str, stop: str) -> int:
    """How much of `stop` the text ends with."""
    return next((count for count in range(len(stop) - 1, 0, -1) if text.endswith(stop[:count])), 0)
