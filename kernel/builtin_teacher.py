"""The built-in teacher: notes and a biography from the elder's own words, with no network and no model.

It quotes, and never rewrites: turning "I was born" into "she was born" needs to know more than the words
say. So the biography in the second and third person is the elder's sentences, told as the elder's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernel.bio import Bio
from kernel.entity_extraction import Reading
from kernel.graph import EntityType
from kernel.language import content_words, sentences, years
from kernel.note import Note
from kernel.question import Questions
from kernel.theme import THEMES
from kernel.told_time import told_times

if TYPE_CHECKING:
    from kernel.memory import Memories, Memory
    from kernel.note import Notes
    from kernel.ports import EntityFinder, Mention
    from kernel.topic import Topics

MOST_KEYWORDS = 8
BIO_CHARACTERS = 1200
LATER = 9999  #: the year of what has none

_LEAD_INS = re.compile(
    r"^(?:(?:can|could|would|will) you (?:please )?)?(?:tell (?:me|us) about|do you remember"
    r"|what do you remember (?:about|of)|what (?:was|were|is|are)|who (?:was|were|is|are)|describe) ",
    re.I,
)
_YOUR = re.compile(r"\byour\b", re.I)
_OTHER_YOU = re.compile(r"\byou(?:rs|rself)?\b|\b(?:was|were|is|are|did|do|does|had|have|has)\b", re.I)
_ZH_LEAD_INS = re.compile("^(?:请|能不能)?(?:给我)?(?:讲讲|说说|谈谈|讲一讲|说一说|聊聊|(?:您|你)?(?:还)?记得)")
_ZH_TAIL = re.compile("(?:吧|吗|呢|的事|的事情)+$")
_ZH_ASKING = re.compile("什么|哪|谁|怎|几|多少|为何|没有|是不是|吗|呢|您|你")
_FEELING = re.compile(
    r"\b(?:love[ds]?|proud|happy|happiest|sorry|regret\w*|miss(?:ed)?|cr(?:y|ied)|laugh\w*|afraid|frightened|ashamed"
    r"|glad|grateful|wish\w*|never|always|still|heart|promise\w*|learn(?:ed|t)|best|worst|thought|swore)\b"
    r"|高兴|快活|难过|伤心|后悔|遗憾|想念|惦记|舍不得|害怕|吓|哭|笑|一辈子|从来|总是|至今|到现在|还|心里|难忘|最|教会|懂得"
)
_LEANING = re.compile(
    r"^(?:he|she|it|they|that|this|those|there|and|but|so|then)\b|^(?:他|她|它|那|这|后来|可|但|是)", re.I
)


class BuiltinTeacher:
    """Implements kernel.ports.Teacher. Its output is made of substrings of the memories and fixed words."""

    missed = 0

    def __init__(self, finder: EntityFinder) -> None:
        self._finder = finder

    @property
    def name(self) -> str:
        return "builtin/1"

    def think_of_questions(self, memory: Memory) -> Questions:
        return Questions(memory_id=memory.id)

    def find_entities(self, note: Note, language: str) -> Reading:
        """Left to the offline finder."""
        return Reading(memory_id=note.memory_id)

    def write_note(self, memory: Memory) -> Note:
        mentions = self._finder.find(memory.answer, memory.language)
        told = sentences(memory.answer) or [memory.answer]
        dates = _dates(mentions, told)
        known = [one for one in mentions if one.type is not EntityType.TIME or one.title in dates]
        keywords = _keywords(known, memory.answer)
        summary = max(told, key=lambda sentence: _telling(sentence, mentions))
        return Note(
            memory_id=memory.id,
            title=_title(memory, keywords),
            summary=summary,
            insight=max((one for one in told if _feeling(one)), key=_feeling, default=""),
            keywords=keywords,
            people=_titles(mentions, EntityType.PERSON),
            places=_titles(mentions, EntityType.PLACE),
            dates=dates,
            text=memory.answer,
            teacher=self.name,
        )

    def name_topic(self, notes: Sequence[Note], language: str) -> str:
        """The theme whose words are the most often in them; failing that, what they mention most."""
        spoken = {theme: [theme.hits(_whole(note), language) for note in notes] for theme in THEMES}
        theme = max(spoken, key=lambda one: (sum(spoken[one]), sum(map(bool, spoken[one]))))
        if 3 * sum(map(bool, spoken[theme])) >= len(notes):
            return theme.name(language)
        keywords = Counter(keyword for note in notes for keyword in note.keywords if keyword not in note.dates)
        return keywords.most_common(1)[0][0] if keywords else theme.name(language)

    def tell_bio(self, memories: Memories, notes: Notes, topics: Topics) -> Bio:
        """About 1,200 characters, in the order of the years that they tell of; what names none comes last."""
        chosen = _choose(notes, topics)
        is_chinese = memories.language == "zh"
        words = ("" if is_chinese else " ").join(note.summary for note in chosen)
        names = [topic.name for topic in topics.items]
        telling = _zh_bio if is_chinese else _en_bio
        first, second, third = telling(memories.elder_name, names, words)
        return Bio(
            elder_name=memories.elder_name,
            first_person=first,
            second_person=second,
            third_person=third,
            memory_ids=tuple(note.memory_id for note in chosen),
        )


def _keywords(mentions: Sequence[Mention], text: str) -> tuple[str, ...]:
    """Names first, then things; English fills up with its content words."""
    named = [mention.title for mention in mentions if mention.type is not EntityType.OBJECT]
    things = [mention.title for mention in mentions if mention.type is EntityType.OBJECT]
    found = {word.casefold(): word for word in reversed([*named, *things])}
    if len(found) < 3:
        found |= {word.casefold(): word for word in content_words(text) if word.casefold() not in found}
    words = dict.fromkeys(found[word.casefold()] for word in [*named, *things, *found.values()])
    return tuple(words)[:MOST_KEYWORDS]


def _titles(mentions: Sequence[Mention], kind: EntityType) -> tuple[str, ...]:
    return tuple(dict.fromkeys(mention.title for mention in mentions if mention.type is kind))


def _dates(mentions: Sequence[Mention], told: Sequence[str]) -> tuple[str, ...]:
    """Of the calendar and of a life: "Easter", "the year of the flood"; of two that overlap the one that says more."""
    calendar = _titles(mentions, EntityType.TIME)
    found = dict.fromkeys(one for sentence in told for one in (*told_times(sentence), *calendar) if one in sentence)
    return tuple(one for one in found if not any(one != other and one in other for other in found))


def _title(memory: Memory, keywords: Sequence[str]) -> str:
    """What the question asks about, if that is a plain phrase; otherwise the first keywords."""
    asked = _zh_subject(memory.question) if memory.language == "zh" else _en_subject(memory.question)
    if asked:
        return asked
    joined = ("、" if memory.language == "zh" else ", ").join(keywords[:3])
    return joined or memory.answer[:40]


def _en_subject(question: str) -> str:
    """ "Tell me about your father's boat." is "Your father's boat"; "" for a question that is no phrase."""
    subject, leads = _LEAD_INS.subn("", question.strip().rstrip("?.! "), count=1)
    subject = subject.removesuffix(" like")
    if not leads or len(subject.split()) > 7 or _OTHER_YOU.search(subject):
        return ""
    subject = _YOUR.sub("my", subject)
    return subject[:1].upper() + subject[1:]


def _zh_subject(question: str) -> str:
    subject = _ZH_TAIL.sub("", _ZH_LEAD_INS.sub("", question.strip().rstrip("？?。！")))
    subject = re.sub("^(?:您|你)的?", "", subject)
    return subject if 1 < len(subject) <= 12 and not _ZH_ASKING.search(subject) else ""


def _telling(sentence: str, mentions: Sequence[Mention]) -> float:
    """Names and numbers tell; a sentence that leans on the one before it tells little alone."""
    named = [mention for mention in mentions if mention.title in sentence]
    weight = sum(0.5 if mention.type is EntityType.OBJECT else 1.0 for mention in named)
    return weight - (2.0 if _LEANING.search(sentence) else 0.0)


def _feeling(sentence: str) -> int:
    return len({word.lower() for word in _FEELING.findall(sentence)})


def _whole(note: Note) -> str:
    return f"{note.title} {note.text}"


def _choose(notes: Notes, topics: Topics) -> list[Note]:
    """A note of each topic in turn while they fit, then by year."""
    by_id = {note.memory_id: note for note in notes.items}
    grouped = [sorted((by_id[one] for one in topic.memory_ids if one in by_id), key=_year) for topic in topics.items]
    chosen: set[str] = set()
    left = BIO_CHARACTERS
    for turn in range(max(map(len, grouped), default=0)):
        for group in grouped:
            if turn < len(group) and len(group[turn].summary) < left:
                left -= len(group[turn].summary) + 1
                chosen.add(group[turn].memory_id)
    return sorted((note for group in grouped for note in group if note.memory_id in chosen), key=_year)


def _year(note: Note) -> int:
    return min(years(note.text), default=LATER)


def _en_bio(name: str, topics: Sequence[str], words: str) -> tuple[str, str, str]:
    told = _listed(topics)
    return (
        f"I am {name}. {words}".strip(),
        f"You are {name}. You have told your family about {told}. In your own words: “{words}”",
        f"{name} has told the family about {told}. In {name}'s own words: “{words}”",
    )


def _zh_bio(name: str, topics: Sequence[str], words: str) -> tuple[str, str, str]:
    told = "、".join(topics)
    return (
        f"我是{name}。{words}",
        f"你是{name}。你给家人讲过这些：{told}。用你自己的话说：“{words}”",
        f"{name}给家人讲过这些：{told}。用{name}自己的话说：“{words}”",
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1)) if len(names) > 1 else "".join(names)
