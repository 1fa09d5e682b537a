"""Wording: what the generators ask besides the ways to ask for one memory, in both languages.

None of it asserts a fact. `{}` is a name or thing as the elder spelt it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    opinion: tuple[str, ...]
    feeling: tuple[str, ...]
    open: tuple[str, ...]  #: of several names
    glue: str  #: between them
    beyond: tuple[tuple[str, str], ...]  #: (the word that no memory may hold, a question about a person with it)
    kin: re.Pattern[str]  #: people that are named by what they are to the elder
    your: str  #: before those
    who: tuple[str, ...]  #: second questions, which lean on the first
    where: tuple[str, ...]
    when: tuple[str, ...]
    more: tuple[str, ...]
    life: tuple[str, ...]
    needs: tuple[str, ...]  #: of somebody in the family
    advice: tuple[str, ...]  #: an expert's, for anybody

    def named(self, name: str) -> str:
        return f"{self.your}{name}" if self.kin.fullmatch(name) else name


def wording_of(language: str) -> Wording:
    return CHINESE if language == "zh" else ENGLISH


ENGLISH = Wording(
    opinion=(
        "What did you think of {}?",
        "What was your opinion of {}?",
        "Did you like {}?",
        "What did {} mean to you?",
    ),
    feeling=("How did you feel about {}?", "What did you feel for {}?", "How do you feel when you think of {}?"),
    open=(
        "Tell me all you like about {}.",
        "What comes to your mind about {}?",
        "Can you tell me something about {}?",
        "What do {} bring back to you?",
    ),
    glue=" and ",
    beyond=(
        ("favourite colour", "What was {}'s favourite colour?"),
        ("allerg", "Was {} allergic to anything?"),
        ("horoscope", "Did {} believe in horoscopes?"),
        ("passport", "Did {} ever have a passport?"),
        ("chess", "Did {} play chess?"),
        ("tattoo", "Did {} have a tattoo?"),
        ("left-handed", "Was {} left-handed?"),
        ("lottery", "Did {} ever win the lottery?"),
        ("computer", "Did {} learn to use a computer?"),
        ("skat", "Could {} skate?"),
    ),
    kin=re.compile("(?:grand)?(?:mother|father|son|daughter)|brother|sister|husband|wife|mum|dad", re.I),
    your="your ",
    who=("And who was with you?", "Who else was there?", "And who else comes into it?"),
    where=("And where was that?", "Where did that happen?", "And at what place was that?"),
    when=("And when was that?", "When did that happen?", "And which year was it?"),
    more=("What else do you remember?", "And what more can you tell me?", "Is there more to tell?", "And what else?"),
    life=(
        "Tell me about your life.",
        "What has your life been like?",
        "How would you tell your life in a few words?",
        "What should I know about your life?",
    ),
    needs=(
        "I am writing a page about {} for the family album. What belongs on it?",
        "I want to make you a present that has to do with {}. What should I bear in mind?",
        "My class is to hear about {} from our family. What shall I tell them?",
        "I would like to draw {}. What should be in the picture?",
        "The little ones asked me about {}. What do I say to them?",
    ),
    advice=(
        "It is best to choose something that everybody likes.",
        "Look in a book or ask in a shop. Anything will do.",
        "Keep it short and simple, and do not worry about the details.",
    ),
)

CHINESE = Wording(
    opinion=("您觉得{}怎么样？", "您对{}有什么看法？", "{}对您来说意味着什么？", "您喜欢{}吗？"),
    feeling=("您对{}有什么感情？", "想起{}，您心里是什么滋味？", "说到{}，您有什么感受？"),
    open=("随便跟我聊聊{}吧。", "说起{}，您会想到些什么？", "关于{}，您想讲什么就讲什么。", "{}，让您想起了什么？"),
    glue="和",
    beyond=(
        ("颜色", "{}最喜欢什么颜色？"),
        ("过敏", "{}对什么东西过敏吗？"),
        ("星座", "{}是什么星座？"),
        ("护照", "{}办过护照吗？"),
        ("围棋", "{}会下围棋吗？"),
        ("纹身", "{}有纹身吗？"),
        ("左撇子", "{}是左撇子吗？"),
        ("彩票", "{}中过彩票吗？"),
        ("电脑", "{}学会用电脑了吗？"),
        ("滑冰", "{}会滑冰吗？"),
    ),
    kin=re.compile(
        "外婆|外公|爷爷|奶奶|姥姥|姥爷|祖父|祖母|父亲|母亲|爸爸|妈妈|老伴|丈夫|妻子|[爹娘爸妈]|[舅叔伯哥姐弟妹]{1,2}|姑姑|姨妈"
    ),
    your="您",
    who=("那时候谁跟您在一起？", "当时还有谁？", "还有谁在场？"),
    where=("那是在哪里？", "这事发生在什么地方？", "是在哪儿的事？"),
    when=("那是什么时候？", "这是哪一年的事？", "那是哪年？"),
    more=("还有呢？", "还有别的吗？", "您还记得别的吗？", "再跟我多说一点吧。"),
    life=("讲讲您这一辈子吧。", "您这一生是怎么过来的？", "用几句话说说您的一生吧。", "关于您的一生，我该知道些什么？"),
    needs=(
        "我想在家里的相册里写一页{}，该写些什么？",
        "我想给您做一件跟{}有关的礼物，要注意些什么？",
        "老师让我们讲讲家里的事，我想讲{}，该怎么讲？",
        "我想画一张{}，画里该有什么？",
        "小孩子们问我{}的事，我该怎么跟他们说？",
    ),
    advice=(
        "挑一样大家都喜欢的就可以了。",
        "翻翻书，或者去店里问问，什么都行。",
        "越简单越好，细节不用管。",
    ),
)
