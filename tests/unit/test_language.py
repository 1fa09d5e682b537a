"""Language: which one, where a sentence ends, and what a search compares."""

import pytest

from kernel.language import content_words, detect_language, sentences, tokens, years


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I was born in Whitby.", "en"),
        ("我生在绍兴。", "zh"),
        ("I met 王秀英 in Shanghai.", "en"),
        ("我有一台Singer缝纫机，是外婆留下的。", "zh"),
    ],
)
def test_a_text_is_of_the_language_that_writes_most_of_its_words(text, language):
    assert detect_language(text) == language


def test_a_text_without_words_is_of_the_language_it_is_asked_in():
    assert detect_language("1962!", "zh") == "zh"


def test_an_abbreviation_or_a_decimal_ends_no_sentence():
    text = "Mr. Smith met J. R. Hale at St. Botolph's. I paid 3.50 for it! Did he come? No."
    assert sentences(text) == [
        "Mr. Smith met J. R. Hale at St. Botolph's.",
        "I paid 3.50 for it!",
        "Did he come?",
        "No.",
    ]


def test_a_closing_quotation_mark_stays_with_its_sentence():
    assert sentences("她说：“快走！”我就走了。后来呢？") == ["她说：“快走！”", "我就走了。", "后来呢？"]
    assert sentences("She said, 'Home by Easter.' He wept.") == ["She said, 'Home by Easter.'", "He wept."]


def test_sentences_are_the_texts_own_characters():
    text = "  One.\n\nTwo three?  四五六。Seven eight!  "
    assert all(sentence in text for sentence in sentences(text))
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_inflected_words_meet():
    assert tokens("He stopped carrying boats") == tokens("Stop, carry the boat")
    assert tokens("When did you marry?") == tokens("We married")
    assert tokens("what she bought") == tokens("what did she buy")


def test_a_familys_word_for_a_relative_meets_the_elders():
    assert tokens("your mum's job") == tokens("My mother's job")
    assert tokens("您爸爸") == tokens("我爹")


def test_a_thing_is_found_under_the_name_that_it_had():
    assert tokens("your first radio") == tokens("our first wireless")
    assert tokens("the phones and the telly") == tokens("telephone, television")
    assert tokens("自行车") == tokens("脚踏车")


def test_a_year_in_chinese_numerals_meets_one_in_digits():
    assert "1962" in tokens("一九六二年春天")
    assert years("一九六二年到上海，1974年得奖，二〇一一年") == [1962, 1974, 2011]


def test_words_without_content_are_dropped():
    assert tokens("What was it that you were?") == []
    assert tokens("那是什么呢？") == []
    assert content_words("What was the Kittiwake?") == ["Kittiwake"]


def test_chinese_is_compared_by_characters_and_bigrams():
    assert tokens("缝纫机") == ["缝", "纫", "机", "缝纫", "纫机"]
