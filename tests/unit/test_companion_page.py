"""The companion's page and its documentation: both languages, and every frame that is sent."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from config.settings import ROOT, Settings
from modelserver.cli.part import embedded_parts
from modelserver.companion_frames import Frame, Say
from modelserver.routes.companion import _HELLO_SECONDS
from tests.unit.test_api import House

PAGE = (ROOT / "modelserver" / "pages" / "companion.html").read_text(encoding="utf-8")
_, ZH, EN = re.split(r"^  (?:zh|en): \{", PAGE.partition("\n};")[0], flags=re.MULTILINE)
CODE = PAGE.partition("\n};")[2]
DOCUMENT = (ROOT / "docs" / "companion.md").read_text(encoding="utf-8")
SENT = set(
    re.findall(
        r'(?:wire\.send\(|self\.send\()\s*"(\w+)"',
        "".join(
            (ROOT / "modelserver" / name).read_text(encoding="utf-8")
            for name in ("companion_talk.py", "companion_frames.py", "routes/companion.py")
        ),
    )
)


def keys(block: str) -> set[str]:
    return set(re.findall(r"(\w+): (?=[\"{]|n =>)", re.sub(r'"[^"]*"|`[^`]*`', '""', block)))


def test_both_languages_have_the_same_words_and_each_is_said() -> None:
    assert keys(ZH) == keys(EN) == set(re.findall(r"(?:\bw|words\(\))\.(\w+)", CODE))


def test_every_element_that_the_script_asks_for_is_in_the_page() -> None:
    assert set(re.findall(r'\$\("(\w+)"\)', CODE)) <= set(re.findall(r'\bid="(\w+)"', PAGE))


@pytest.mark.parametrize("frame", sorted(SENT))
def test_every_frame_is_taken_by_the_page_and_described(frame: str) -> None:
    assert f'case "{frame}"' in CODE or frame == "audio_end"
    assert f"`{frame}`" in DOCUMENT


@pytest.mark.parametrize("frame", get_args(Frame), ids=lambda frame: frame.__name__)
def test_every_frame_that_a_client_may_send_is_sent_by_the_page_and_described(frame: type[BaseModel]) -> None:
    (kind,) = get_args(frame.model_fields["type"].annotation)
    assert f'type: "{kind}"' in CODE
    assert f'`{{"type": "{kind}"' in DOCUMENT


def test_nothing_that_is_ticked_ends_the_talk_and_another_name_begins_another() -> None:
    ended = CODE.replace("hearing.context.close()", "")
    assert ended.count(".close(") == ended.count("hush(); enter(); left.close();") == 1


def test_the_page_says_who_talks_and_goes_on_with_what_is_kept() -> None:
    assert "member, conversation_id: talk }" in CODE
    assert 'localStorage.getItem("member")' in CODE  # the name that was given on the family's page


def test_the_limits_of_what_is_sent_are_described() -> None:
    assert f"within {_HELLO_SECONDS:g} s" in DOCUMENT
    assert f"{Say.model_json_schema()['properties']['text']['maxLength']:,} characters" in DOCUMENT


def test_the_frames_that_are_sent_were_found() -> None:
    assert {"ready", "heard", "memories", "queue", "emotion", "text", "audio_begin", "done", "error"} <= SENT


def test_the_key_is_never_in_an_address() -> None:
    assert "encodeURIComponent(elder)}`)" in CODE and "key=" not in CODE
    assert "history.replaceState" in CODE


def test_the_page_says_what_its_reader_reads() -> None:
    assert 'type: "hello", key, reads: language' in CODE


def test_the_page_is_served_under_a_policy_that_lets_it_connect_home(tmp_path: Path) -> None:
    answer = House(tmp_path).client.get("/companion")
    assert answer.status_code == 200 and "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(("companion", "is_started"), [("own", False), ("off", False), ("transformers", True)])
def test_its_process_is_started_when_it_is_wanted(tmp_path: Path, companion: str, is_started: bool) -> None:
    settings = Settings(data_dir=tmp_path, companion=companion, companion_url="http://127.0.0.1:5")  # type: ignore[arg-type]
    assert ("companion" in [part.name for part in embedded_parts(settings)]) == is_started
