"""ChinesePhrasing: a family's questions, made by rules from any elder's own words."""

import random
import re

import pytest

from kernel.chinese import ChinesePhrasing
from kernel.chinese_words import KIN_QUESTIONS, QUESTIONS
from kernel.memory import Answer, Memory, collect_memories

# An old soldier of the north; nothing of the sample elders.
TOLD = (
    (
        "爷爷，您当兵那几年在什么地方？",
        "我1951年参的军，在图们江边守过三年哨所。班里有个山东大个子叫孟广田，一顿能吃八个窝头，夜里站岗总把大衣脱给我穿。",
    ),
    (
        "您跟奶奶是怎么认识的？",
        "我俩是别人介绍的。第一次见面在火车站的钟楼底下，她扎两条长辫子，手里攥着一张电影票。结婚时我娶她，就花了十二块钱。",
    ),
    (
        "说说您在窑厂干活的事。",
        "十六岁我就去窑厂背砖，从窑口背到河滩，一天要走四十多趟。师傅姓焦，脾气躁，但是从不克扣我们的饭。",
    ),
    (
        "您小时候最爱吃什么？",
        "最爱吃我奶奶烙的榆钱饼。春天她用竹竿把榆钱捋下来，拌上玉米面，撒一把盐，烙得两面焦黄。",
    ),
    (
        "您家里那把二胡是哪儿来的？",
        "那是我舅舅柳长河留下的，琴筒是乌木的，蒙的是蟒皮。他在县剧团拉了二十年琴，临走前托人捎给我。",
    ),
    (
        "您住过的老屋是什么样的？",
        "我家住在沂水边上，屋后有三棵柿子树。秋天我和妹妹爬上去摘，我娘就在底下张着围裙接。",
    ),
)


@pytest.fixture(scope="module")
def memories() -> tuple[Memory, ...]:
    return _memories(TOLD)


@pytest.fixture(scope="module")
def phrasing(memories: tuple[Memory, ...]) -> ChinesePhrasing:
    return ChinesePhrasing(memories)


def test_the_interviewers_own_question_comes_first(phrasing, memories):
    for memory in memories:
        assert phrasing.questions(memory, 5, random.Random(1))[0] == memory.question


def test_as_many_different_questions_as_asked_for(phrasing, memories):
    for memory in memories:
        questions = phrasing.questions(memory, 30, random.Random(2))
        assert len(questions) == len(set(questions)) == 30


def test_the_same_dice_make_the_same_questions(memories):
    def made() -> list[list[str]]:
        phrasing = ChinesePhrasing(memories)
        rng = random.Random(3)
        return [
            *(phrasing.questions(memory, 12, rng) for memory in memories),
            phrasing.unanswerable(rng),
            [phrasing.about("孟广田", rng) for _ in range(9)],
        ]

    assert made() == made()


def test_the_elder_is_asked_as_you(phrasing, memories):
    """我 in a question is whoever asks: 跟我说说, 我想知道, 能告诉我."""
    for memory in memories:
        for question in phrasing.questions(memory, 40, random.Random(4)):
            assert "我" not in re.sub("我想|跟我|给我|告诉我", "", question), question


def test_a_question_holds_words_of_its_memory(phrasing, memories):
    near = total = 0
    for memory in memories:
        wanted = _bigrams(memory.question + "。" + memory.answer)
        for question in phrasing.questions(memory, 24, random.Random(5)):
            near += bool(_bigrams(question) & wanted)
            total += 1
    assert near >= 0.9 * total


def test_a_telling_word_of_each_kind_is_asked_for(phrasing, memories):
    asked = [question for memory in memories for question in phrasing.questions(memory, 90, random.Random(6))]
    for words in (
        "守过几年哨所",
        "叫什么名字",
        "花了多少钱",
        "哪一年参的军",
        "您奶奶用什么把榆钱捋下来",
        "柳长河在",
        "谁就在底下张着围裙接",
        "屋后有几棵柿子树",
    ):
        assert any(words in question for question in asked), words


def test_an_unanswerable_question_asks_for_what_no_memory_holds(phrasing, memories):
    everything = "".join(memory.question + memory.answer for memory in memories)
    telling = {
        marked.split("|")[0] for line in (*QUESTIONS, *KIN_QUESTIONS) for marked in re.findall(r"\[(.+?)\]", line)
    }
    held = {word for word in telling if word in everything}
    questions = phrasing.unanswerable(random.Random(7))
    assert 250 <= len(questions) == len(set(questions)) <= 400
    assert held
    assert not [question for question in questions for word in held if len(word) > 1 and word in question]
    assert not [question for question in questions if "[" in question or "{" in question]


def test_what_is_told_in_other_words_is_not_unanswerable():
    memories = _memories((("您有宠物吗？", "我养过一只狗，叫黑豆，还有一部单车，天天骑着去邮局送信。"),))
    questions = ChinesePhrasing(memories).unanswerable(random.Random(8))
    assert not [question for question in questions if re.search("狗|自行车", question)]


def test_half_familiar_questions_are_about_people_whom_memories_hold(phrasing):
    questions = phrasing.unanswerable(random.Random(9))
    assert sum("孟广田" in question or "柳长河" in question for question in questions) > 10


def test_a_person_a_place_and_a_thing_are_asked_about(phrasing):
    for name in ("孟广田", "图们江边", "二胡"):
        questions = {phrasing.about(name, random.Random(seed)) for seed in range(40)}
        assert len(questions) > 6
        assert all(name in question for question in questions)


def test_small_talk_asserts_nothing(phrasing):
    greetings = phrasing.greetings()
    assert len(greetings) >= 10
    assert not [answer for _, answer in greetings if re.search(r"年|\d|爷爷|奶奶", answer)]
    assert len(set(phrasing.self_questions())) >= 8


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("", "今天下雨。"),
        ("童年", "没什么。"),
        ("What was your first job?", "I worked at the docks in 1962 with Arthur."),
        ("您好吗？", "好。"),
        ("讲讲您的事吧。", "“我不去。”他说。" * 30),
        ("我的母亲", "我母亲是小学老师，教了三十年书，桃李满天下。"),
    ],
)
def test_odd_memories_are_asked_about_too(question, answer):
    memories = _memories(((question, answer),))
    phrasing = ChinesePhrasing(memories)
    questions = phrasing.questions(memories[0], 8, random.Random(10))
    assert questions[0] == question or not question
    assert len(questions) == len(set(questions)) == 8
    assert phrasing.unanswerable(random.Random(10))


def test_an_elder_without_memories_can_still_be_asked_what_he_cannot_know():
    assert len(ChinesePhrasing(()).unanswerable(random.Random(11))) >= 250


def _memories(told: tuple[tuple[str, str], ...]) -> tuple[Memory, ...]:
    answers = [Answer(question=question, answer=answer) for question, answer in told]
    return collect_memories(answers, elder_name="孙德厚", language="zh").items


def _bigrams(text: str) -> set[str]:
    light = set("的了是在我你他她您和有这那吗呢吧什么谁哪怎多少记得说讲想知道能，。？！、；：“”")
    pairs = {text[i : i + 2] for i in range(len(text) - 1)}
    return {pair for pair in pairs if not light & set(pair)}
