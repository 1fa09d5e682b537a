"""The words of the command line, in English and in Chinese; `say(key, **values)` picks and fills one.

`{heirloom}` in a sentence is this program as one types it. The language is --lang, else HEIRLOOM_LANG, else Chinese
when LC_ALL, LC_MESSAGES or LANG begins with zh.
"""

import shutil
import sys
from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from pathlib import Path

import yaml
from yaml.constructor import ConstructorError

from kernel.reason import spoken

LANGUAGES = ("en", "zh")
_FILE = Path(__file__).with_name("words.yaml")


class CliError(Exception):
    """Something that a person reads as one sentence; the command then ends with exit code 1."""

    def __init__(self, key: str, /, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


class Words:
    """One language's sentences."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._sentences = read_sentences()

    def __call__(self, key: str, /, **values: object) -> str:
        told = spoken(values) if self.language == "zh" else values
        return self._sentences[key][self.language].format(**{"heirloom": typed_name(), **told})


def typed_name() -> str:
    """What starts this program when it is typed here: `heirloom` from the PATH, else the path that started it."""
    started = Path(sys.argv[0])
    if started.name != "heirloom" or shutil.which("heirloom") == str(started.absolute()):
        return "heirloom"
    return str(started)


@cache
def read_sentences() -> dict[str, dict[str, str]]:
    """key -> language -> sentence. Raises ConstructorError for a key that stands twice."""
    sentences: dict[str, dict[str, str]] = _Loader(_FILE.read_text(encoding="utf-8")).get_single_data()
    return sentences


class _Loader(yaml.SafeLoader):
    """Of two values of a key YAML itself keeps the last, and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        read: dict[Hashable, object] = super().construct_mapping(node, deep)
        if len(read) < len(node.value):
            raise ConstructorError(problem="a key stands twice", problem_mark=node.start_mark)
        return read


def take_language(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """What --lang says, wherever it stands, and the other arguments."""
    wanted, rest, waiting = "", list(arguments), iter(arguments)
    for argument in waiting:
        if argument == "--lang" and (value := next(waiting, "")):
            wanted = value
            at = rest.index("--lang")
            del rest[at : at + 2]
        elif argument.startswith("--lang="):
            wanted = argument.removeprefix("--lang=")
            rest.remove(argument)
    return wanted, rest


def choose_language(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Read before anything is parsed, so that --help is in it too."""
    wanted, _ = take_language(arguments)
    wanted = wanted or environ.get("HEIRLOOM_LANG", "")
    locale = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or ""
    return "zh" if (wanted or locale).lower().startswith("zh") else "en"
