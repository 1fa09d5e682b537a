"""The family's page: every word it says is there in both languages, and none is left over."""

import re

import pytest

from config.settings import ROOT
from kernel.left_brain_pipeline import PIPELINES
from modelserver.cli.words import read_sentences

PAGE = (ROOT / "modelserver" / "pages" / "index.html").read_text(encoding="utf-8")
_, ZH, EN = re.split(r"^  (?:zh|en): \{", PAGE.partition("\n};")[0], flags=re.MULTILINE)
STAGE_NAMES = {stage.name for stages in PIPELINES.values() for stage in stages}
CODE = PAGE.partition("\n};")[2]
LANGUAGES = {"zh": ZH, "en": EN}


def test_both_languages_have_the_same_words() -> None:
    assert _keys(ZH) == _keys(EN)


def test_every_word_is_said_and_every_said_word_is_there() -> None:
    said = set(re.findall(r"(?:\bw|words\(\))\.(\w+)", CODE))
    inner = {*STAGE_NAMES, "model_not_found", "elder_not_found", "unauthorized"}
    assert _keys(ZH) - inner == said


@pytest.mark.parametrize("language", LANGUAGES)
def test_stages_are_called_as_the_command_line_calls_them(language: str) -> None:
    sentences = read_sentences()
    told = dict(re.findall(r'(\w+): "([^"]*)"', LANGUAGES[language].partition("stages: {")[2]))
    assert told == {name: sentences[f"stage.{name}"][language] for name in STAGE_NAMES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_answers_in_its_own_words_when_nothing_is_trained(language: str) -> None:
    told = re.search(r'model_not_found: "([^"]*)"', LANGUAGES[language])
    button = re.search(r'teach: "([^"]*)"', LANGUAGES[language])
    assert told and button and button[1] in told[1]
    assert "POST" not in LANGUAGES[language]
    assert "words().errors[problem.error.code]" in CODE


def test_a_family_without_an_elder_is_shown_the_form_that_adds_one() -> None:
    assert re.search(r'if \(!elders\.length\) \{ \$\("newcomer"\)\.hidden = false;', CODE)
    assert 'post("/elders", { elder_id:' in CODE


def test_every_element_that_the_script_asks_for_is_in_the_page() -> None:
    there = set(re.findall(r'\bid="(\w+)"', PAGE))
    assert set(re.findall(r'\$\("(\w+)"\)', CODE)) <= there


def test_no_english_word_stands_in_the_script_outside_the_words() -> None:
    assert not re.search(r"`(loss|epoch) |[}]s`", CODE)


def _keys(block: str) -> set[str]:
    return set(re.findall(r"(\w+): (?=[\"{]|n =>)", re.sub(r'"[^"]*"', '""', block)))
