"""`heirloom doctor --ollama`: every step of serving on a server, what is wrong with it, and nothing left behind."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import Settings
from modelserver.cli.app import main
from modelserver.cli.ollama_check import examine_ollama
from modelserver.cli.words import CliError, Words
from tests.engine_fixtures import header_only
from tests.ollama_double import OllamaDouble

STEPS = 7
PIECES = ["I ", "am ", "a ", "test."]


@pytest.fixture
def ollama() -> Iterator[OllamaDouble]:
    with OllamaDouble(answer=lambda prompt, options: PIECES) as double:
        yield double


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return header_only(tmp_path_factory.mktemp("gguf") / "model.gguf")


def findings(url: str, gguf: Path, language: str = "en") -> list[tuple[bool, str]]:
    settings = Settings(OLLAMA_HOST=url)  # type: ignore[call-arg]
    return [(one.is_ok, one.found) for one in examine_ollama(settings, Words(language), gguf=gguf)]


def test_a_server_that_is_well_passes_every_step_and_keeps_nothing(ollama: OllamaDouble, gguf: Path) -> None:
    found = findings(ollama.url, gguf)

    assert [is_ok for is_ok, _ in found] == [True] * STEPS
    assert found[0][1] == "Ollama 0.33.3; it serves adapters on a shared base"
    assert ollama.state.models == {} and ollama.state.loaded == set()


def test_a_newer_server_is_said_to_take_no_adapters(gguf: Path) -> None:
    with OllamaDouble(answer=lambda prompt, options: PIECES, version="0.34.2") as ollama:
        found = findings(ollama.url, gguf)

    assert [is_ok for is_ok, _ in found] == [True] * STEPS
    assert "takes no adapters" in found[0][1]


@pytest.mark.parametrize(
    ("fault", "step", "todo"),
    [
        ("create_fails_midway", 1, "no space left on device -> look at Ollama's log"),
        ("create_stops_midway", 1, "did not finish making"),
        ("forgets_system", 2, "without its system prompt ->"),
        ("renders_otherwise", 3, "-> start the server with OLLAMA_GO_TEMPLATE=0"),
        ("chat_fails", 4, "ended the answer with an error (HTTP 500) ->"),
        ("chat_drops", 4, "no connection to its server ->"),
        ("says_nothing", 4, "it answered nothing ->"),
        ("keeps_deleted", 6, "is still there -> ollama rm heirloom_doctor_"),
    ],
)
def test_each_step_that_fails_says_what_is_wrong_and_what_to_do(
    ollama: OllamaDouble, gguf: Path, fault: str, step: int, todo: str
) -> None:
    faults = ollama.state.faults
    if fault == "says_nothing":
        ollama.state.answer = lambda prompt, options: [" "]
    elif fault.startswith("chat_"):
        setattr(faults, f"{fault}_after", 1)
    else:
        setattr(faults, fault, True)

    found = findings(ollama.url, gguf)
    in_chinese = findings(ollama.url, gguf, "zh")

    assert [is_ok for is_ok, _ in found] == [True] * step + [False]
    assert todo in found[-1][1]
    assert re.search(r"[\u4e00-\u9fff].* -> ", in_chinese[-1][1])
    assert ollama.state.models == {} or fault == "keeps_deleted"


def test_embedding_is_not_needed(ollama: OllamaDouble, gguf: Path) -> None:
    ollama.state.faults.embeds_nothing = True

    found = findings(ollama.url, gguf)

    assert [is_ok for is_ok, _ in found] == [True] * 5 + [False, True]
    assert "not needed" in found[5][1]


def test_a_server_that_is_down_and_one_that_is_too_old(ollama: OllamaDouble, gguf: Path) -> None:
    ollama.state.version = "0.12.10"
    assert findings(ollama.url, gguf) == [(False, "Ollama 0.12.10 -> install 0.30 or later")]

    ollama.stop()
    [(is_ok, told)] = findings(ollama.url, gguf)
    assert not is_ok and "no connection to its server -> look at Ollama's log, and at OLLAMA_HOST" in told


def test_what_is_no_ollama_is_told_apart(gguf: Path, ollama: OllamaDouble) -> None:
    found = findings(f"{ollama.url}/elsewhere", gguf)

    assert len(found) == 1 and "/api/version was refused (HTTP 404)" in found[0][1]


def test_without_a_host_there_is_nothing_to_look_at(gguf: Path) -> None:
    with pytest.raises(CliError, match=r"ollama\.no_host"):
        list(examine_ollama(Settings(OLLAMA_HOST=""), Words("en"), gguf=gguf))  # type: ignore[call-arg]


def test_a_look_that_is_broken_off_leaves_nothing(ollama: OllamaDouble, gguf: Path) -> None:
    steps = examine_ollama(Settings(OLLAMA_HOST=ollama.url), Words("en"), gguf=gguf)  # type: ignore[call-arg]
    next(steps)
    next(steps)
    assert len(ollama.state.models) == 1

    steps.close()  # type: ignore[attr-defined]

    assert ollama.state.models == {}


@pytest.mark.parametrize(
    ("language", "said", "is_real"),
    [("en", "Everything needed is here", True), ("zh", "所需的一切都已具备", False)],
)
def test_the_command_tries_the_packaged_model_for_real(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    gguf: Path,
    language: str,
    said: str,
    is_real: bool,
) -> None:
    """SmolLM2 itself: made, rendered, chatted with and removed. The second language tells of one without weights."""
    with OllamaDouble(answer=None if is_real else lambda prompt, options: PIECES) as ollama:
        monkeypatch.setattr("modelserver.cli.app.read_settings", lambda: Settings(OLLAMA_HOST=ollama.url))  # type: ignore[call-arg]
        if not is_real:
            monkeypatch.setattr("modelserver.cli.ollama_check._packaged", lambda: gguf)
        with pytest.raises(SystemExit) as end:
            main(["--lang", language, "doctor", "--ollama"])

        assert ollama.state.models == {} and ollama.uploads == 1
    out = capsys.readouterr().out
    assert end.value.code == 0, out
    assert said in out
