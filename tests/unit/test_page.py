"""The family's page: every word it says is there in both languages, none is left over; all it asks for is there."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from config.settings import ROOT
from kernel.errors import by_code
from kernel.evaluation import ARMS
from kernel.left_brain_pipeline import PIPELINES
from modelserver.cli.words import read_sentences
from modelserver.schemas.biography import BiographyOut
from modelserver.schemas.elders import AnswerOut, ElderOut
from modelserver.schemas.graph import HappeningOut, RelativeOut
from modelserver.schemas.models import ModelOut
from tests.unit.test_api import House

PAGES = ROOT / "modelserver" / "pages"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


PAGE, SAID = _read(PAGES / "index.html"), _read(PAGES / "words.js")
_, ZH, EN = re.split(r"^  (?:zh|en): \{", SAID, flags=re.MULTILINE)
CODE = "".join(_read(path) for path in sorted(PAGES.glob("*.js")) if path.name != "words.js")
STAGE_NAMES = {stage.name for stages in PIPELINES.values() for stage in stages}
VERSIONS, STORY = _read(PAGES / "versions.js"), _read(PAGES / "story.js")
METHODS = {"get": "get", "post": "post", "put": "put", "drop": "delete", "stream": "post"}
LANGUAGES = {"zh": ZH, "en": EN}
ERRORS = set(re.findall(r"(\w+): \"", EN.partition("errors: {")[2].partition("}")[0]))


def test_both_languages_have_the_same_words() -> None:
    assert _keys(ZH) == _keys(EN)


def test_every_word_is_said_and_every_said_word_is_there() -> None:
    said = set(re.findall(r"words\(\)\.(\w+)", CODE)) | set(re.findall(r'\w+: "(\w+)"', CODE.partition("SAID = {")[2]))
    assert _keys(ZH) - {*STAGE_NAMES, *ERRORS, "up", "down"} <= said
    assert set(re.findall(r"words\(\)\.(\w+)", CODE)) - {"errors", "stages"} <= _keys(ZH)


@pytest.mark.parametrize("language", LANGUAGES)
def test_stages_are_called_as_the_command_line_calls_them(language: str) -> None:
    sentences = read_sentences()
    told = dict(re.findall(r'(\w+): "([^"]*)"', LANGUAGES[language].partition("stages: {")[2]))
    assert told == {name: sentences[f"stage.{name}"][language] for name in STAGE_NAMES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_in_its_own_words_what_to_press(language: str) -> None:
    words = dict(re.findall(r'(\w+): "([^"]*)"', LANGUAGES[language]))
    assert all(words["teach"] in words[sentence] for sentence in ("model_not_found", "untold"))
    assert all(words["newtalk"] in words[error] for error in ("conversation_not_found", "conversation_full"))
    assert {by_code(error).code for error in ERRORS} == ERRORS
    assert "POST" not in LANGUAGES[language]
    assert "words().errors[problem.error.code]" in CODE


def test_a_family_without_an_elder_is_shown_the_form_that_adds_one() -> None:
    assert re.search(r'if \(!elders\.length\) \{ \$\("newcomer"\)\.hidden = false;', CODE)
    assert 'post("/elders", { elder_id:' in CODE


def test_what_is_hidden_is_not_shown_because_its_kind_is_laid_out() -> None:
    for style in (_read(PAGES / "page.css"), _read(PAGES / "companion.html")):
        assert "[hidden] { display: none !important; }" in style


def test_a_training_that_is_under_way_is_followed_without_a_click_and_only_under_its_own_elder() -> None:
    teach, shown = _read(PAGES / "teach.js"), CODE.partition("export function showTraining")[2].partition("\n}\n")[0]
    assert shown.index("following = null") < shown.index("if (jobs[elder()]) follow(jobs[elder()])")
    assert "one.job_id" in shown and "if (following !== mine) return;" in teach
    assert CODE.count("showTraining(") == 4  # where it is written, at the door, for another elder, in another language
    assert "job_id" in ElderOut.model_fields


def test_the_questions_that_are_offered_are_those_that_the_elder_answered() -> None:
    offered = CODE.partition("async function offerOpenings")[2].partition("\n}\n")[0]
    assert "/answers?limit=" in offered and "one.question" in offered
    assert {"question"} <= AnswerOut.model_fields.keys()


def test_the_live_talk_is_a_link_away_and_no_key_stands_in_it() -> None:
    assert re.search(r'<a [^>]*id="live" href="companion"', PAGE)
    [told] = re.findall(r'\$\("live"\)\.hash = (.*?);', CODE)
    assert "elder:" in told and "key" not in told
    assert 'fromAddress.get("elder")' in _read(PAGES / "companion.html")


def test_every_element_that_the_scripts_ask_for_is_in_the_page() -> None:
    there = set(re.findall(r'\bid="(\w+)"', PAGE))
    worded = CODE.partition("SAID = {")[2].partition("}")[0]
    asked = set(re.findall(r'\$\("(\w+)"\)', CODE)) | set(re.findall(r'(\w+): "\w+"', worded))
    assert len(asked) > 50 and asked <= there


def test_every_address_that_the_scripts_ask_for_is_in_the_api(tmp_path: Path) -> None:
    paths = House(tmp_path).app.openapi()["paths"]
    there = {(method, re.sub(r"{\w+}", "{}", path)) for path, methods in paths.items() for method in methods}
    asked = {
        (METHODS[verb], _address(path))
        for verb, path in re.findall(r"\b(get|post|put|drop|stream)\([\"`](/[^\"`]*)", CODE)
    }
    asked |= {
        (method.lower(), _address(path)) for path, method in re.findall(r'\bcall\(`(/[^`]*)`, { method: "(\w+)"', CODE)
    }
    assert len(asked) > 20 and asked <= there
    assert CODE.count("fetch(") == 1  # in api.js: whatever else asks is seen above


def test_every_script_is_served_and_packaged_and_imports_only_what_is_there(tmp_path: Path) -> None:
    client = House(tmp_path).client
    packaged = tomllib.loads(_read(ROOT / "pyproject.toml"))["tool"]["setuptools"]["package-data"]["modelserver"]
    for path in PAGES.iterdir():
        assert f"**/*{path.suffix}" in packaged
        assert path.suffix == ".html" or client.get(f"/{path.name}").text == _read(path)
    assert set(re.findall(r'from "\./([^"]+)"', CODE)) <= {path.name for path in PAGES.glob("*.js")}


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not here")
@pytest.mark.parametrize("script", sorted(PAGES.glob("*.js")), ids=lambda path: path.name)
def test_every_script_can_be_read_by_a_browser(script: Path) -> None:
    checked = subprocess.run(
        ["node", "--check", "--input-type=module"], input=script.read_bytes(), capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr.decode()


def test_every_panel_has_one_button_that_says_whether_it_is_open() -> None:
    panels = dict(re.findall(r'(\w+): "(\w+)"', CODE.partition("PANELS = {")[2].partition("}")[0]))
    buttons = re.findall(r'<button [^>]*id="(\w+)" type="button" aria-expanded="false" aria-controls="(\w+)"', PAGE)
    assert {"story", "versions"} <= set(panels.values())
    assert dict(buttons) == panels | {"talksbutton": "talks"}
    labelled = dict(re.findall(r'<section class="panel" id="(\w+)" aria-labelledby="(\w+)"', PAGE))
    assert all(re.search(rf'<h2 id="{labelled[panel]}"', PAGE) for panel in ("story", "versions"))


def test_a_version_is_deleted_only_after_asking_and_the_one_in_use_has_no_such_button() -> None:
    [button] = re.findall(r"\(one\.is_active \? \[\] : \[use, button\((.*)\)\]\)", VERSIONS)
    assert "() => confirm(words().reallyretire(one.version)) && act(retire, one)" in button
    assert len(re.findall(r"\bretire\b(?!\()", VERSIONS)) == 1 and VERSIONS.count("drop(") == 1


def test_what_is_said_of_a_version_is_how_the_family_meets_it() -> None:
    assert re.findall(r'arm\.arm === "([^"]+)"', VERSIONS) == [ARMS[-1]] == ["trained+retrieval"]


def test_the_panels_read_only_what_the_api_tells() -> None:
    told = [set(kind.model_fields) for kind in (HappeningOut, RelativeOut, AnswerOut)]
    assert set(re.findall(r"\bone\.(\w+)", VERSIONS)) <= set(ModelOut.model_fields)
    assert set(re.findall(r"\blife\.(\w+)", STORY)) <= set(BiographyOut.model_fields)
    assert set(re.findall(r"\bone\.(\w+)", STORY)) <= set.union(*told)


def test_a_story_that_is_not_written_is_told_from_any_other_trouble() -> None:
    codes = re.findall(r'"(\w+)"', STORY.partition("UNWRITTEN = [")[2].partition("]")[0])
    assert "bio_not_found" in codes and [by_code(code).code for code in codes] == codes
    assert "if (!UNWRITTEN.includes(error.code)) throw error;" in STORY


def test_no_english_word_stands_in_the_scripts_outside_the_words() -> None:
    assert not re.search(r"text: \"[A-Za-z]|textContent = \"\w", CODE)


def test_the_page_says_what_a_publication_tells_besides() -> None:
    for fact, sentence in {"worse_than_base": "poorer", "split_off": "heldback", "regressed": "regressed"}.items():
        assert re.search(rf"told\.{fact} \?[^;]*words\(\)\.{sentence}", CODE)


def test_a_persons_words_are_never_markup() -> None:
    assert "innerHTML" not in CODE and "insertAdjacentHTML" not in CODE


def test_the_page_asks_nobody_outside_for_anything() -> None:
    everything = PAGE + CODE + _read(PAGES / "page.css")
    assert set(re.findall(r"https?://[^\"' ]+", everything)) <= {"http://www.w3.org/2000/svg"}
    assert " style=" not in PAGE and "<style" not in PAGE  # the policy allows none


def test_every_field_and_button_has_a_name_that_can_be_read_out() -> None:
    inputs = re.findall(r"<(?:input|textarea|select)\b[^>]*>", PAGE)
    labelled = re.findall(r"<label\b[^>]*>(?:(?!</label>).)*?<(?:input|textarea|select)\b", PAGE, re.DOTALL)
    assert len(labelled) == len(inputs) > 10
    assert CODE.count('"aria-label"') >= 2  # the thumbs, and the bin of a talk


def _address(path: str) -> str:
    return re.sub(r"\$\{[^}]*\}", "{}", path.partition("?")[0])


def _keys(block: str) -> set[str]:
    return set(re.findall(r"(\w+): (?=[\"{]|\w =>)", re.sub(r'"[^"]*"|`[^`]*`', '""', block)))
