"""The command line: every error is one sentence, every sentence is there in both languages."""

import io
import json
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from yaml.constructor import ConstructorError

from config import settings as settings_module
from config.settings import Settings
from kernel.clock import utc_now
from kernel.errors import by_code
from kernel.kin import KINDS
from modelserver.auth import add_family, key_sha256
from modelserver.cli import app, commands, demo, family, training, words
from modelserver.cli.account import Account, find_account, keep_account, kept_account
from modelserver.cli.client import Client, events
from modelserver.cli.demo import SAMPLES, Sample
from modelserver.cli.port import free_port
from modelserver.cli.stack import settings_environment
from modelserver.cli.tables import arms_table, facts
from modelserver.cli.words import CliError, Words, choose_language, read_sentences
from tests.memory_store import MemoryFamilies

Handler = Callable[[httpx.Request], httpx.Response]
Run = Callable[..., tuple[int, str, str]]

SOURCES = Path(app.__file__).parent


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """run("models", handler=…) -> (exit code, stdout, stderr)."""
    monkeypatch.setenv("HEIRLOOM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HEIRLOOM_API_URL", "http://heirloom.test")
    monkeypatch.setenv("HEIRLOOM_API_KEY", "hl_secret")
    monkeypatch.setenv("HEIRLOOM_LANG", "en")
    monkeypatch.setenv("COLUMNS", "200")

    def run_command(*arguments: str, handler: Handler) -> tuple[int, str, str]:
        settings_module.read_settings.cache_clear()
        with pytest.raises(SystemExit) as end:
            app.main(list(arguments), transport=httpx.MockTransport(handler))
        settings_module.read_settings.cache_clear()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run_command


def answers(status: int, body: Any) -> Handler:
    return lambda request: httpx.Response(status, json=body)


def refusal(status: int, code: str, message: str, **details: str) -> Handler:
    return answers(status, {"error": {"code": code, "message": message, "details": details}})


# ---- words ----------------------------------------------------------------------------------------------


def test_every_sentence_is_there_in_both_languages_with_the_same_blanks() -> None:
    for key, sentence in read_sentences().items():
        assert set(sentence) == {"en", "zh"}, key
        assert _blanks(sentence["en"]) == _blanks(sentence["zh"]), key


def test_a_sentence_that_is_written_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = tmp_path / "words.yaml"
    twice.write_text("help.up:\n  en: Start.\n  en: Talk.\n", encoding="utf-8")
    monkeypatch.setattr(words, "_FILE", twice)
    with pytest.raises(ConstructorError, match="twice"):
        words.read_sentences.__wrapped__()


def test_every_sentence_that_the_code_says_is_written_and_none_is_left_over() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py"))
    made_up = ("help.", "table.", "state.", "arm.", "stage.", "train.kept.", "kind.", "kin.", "storage.", "health.")
    for key in read_sentences():
        assert key.startswith(made_up) or re.search(f"""["']{re.escape(key)}["']""", code), f"nobody says {key}"
    said = set(re.findall(r'(?:words|say|CliError|_failure)\(\s*"([a-z_]+(?:\.[a-z_]+)+)"', code))
    assert said <= set(read_sentences())


def test_what_may_be_left_out_stands_in_one_pair_of_brackets(run: Run) -> None:
    for command in (("chat",), ("family", "revoke"), ("elder", "engine")):
        assert "[[" not in run(*command, "--help", handler=answers(200, {}))[1]


def test_every_command_has_its_help_in_chinese(run: Run) -> None:
    code, out, _ = run("--lang", "zh", "--help", handler=answers(200, {}))
    assert code == 0
    for command in (
        "up",
        "demo",
        "import",
        "train",
        "chat",
        "biography",
        "graph",
        "models",
        "export",
        "doctor",
        "elder",
        "answer",
        "feedback",
        "family",
        "base",
        "left-brain",
    ):
        assert re.search(rf"^\s+{command}\s+.*[\u4e00-\u9fff]", out, re.MULTILINE), command


@pytest.mark.parametrize(
    ("arguments", "environ", "language"),
    [
        ([], {}, "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "zh_CN.UTF-8", "HEIRLOOM_LANG": "en"}, "en"),
        ([], {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        (["--lang", "zh", "models"], {"LANG": "C"}, "zh"),
        (["demo", "--lang=en"], {"LANG": "zh_TW"}, "en"),
    ],
)
def test_the_option_goes_before_the_variable_and_the_variable_before_the_locale(
    arguments: list[str], environ: dict[str, str], language: str
) -> None:
    assert choose_language(arguments, environ) == language


# ---- errors -----------------------------------------------------------------------------------------------


def test_the_servers_refusal_is_shown_as_its_sentence(run: Run) -> None:
    handler = refusal(409, "job_running", "Job j_1 is already training this elder.")
    assert run("models", "E1", handler=handler) == (1, "", "Error: Job j_1 is already training this elder.\n")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("unauthorized", "HEIRLOOM_API_KEY"),
        ("elder_not_found", "heirloom elder add GONE --name"),
        ("model_not_found", "heirloom train GONE"),
        ("version_not_found", "heirloom models GONE"),
        ("left_brain_not_found", "heirloom train GONE --brain left"),
        ("answer_not_found", "heirloom answer list GONE"),
        ("feedback_not_found", "heirloom feedback list GONE"),
        ("graph_not_found", "heirloom train GONE"),
        ("nothing_extracted", "heirloom train GONE"),
    ],
)
def test_what_is_not_there_is_told_as_a_command_and_not_as_a_path(run: Run, code: str, told: str) -> None:
    for language in ("en", "zh"):
        details = {"elder": "GONE", "version": "9", "answer": "a_9", "feedback": "f_9"}
        handler = refusal(by_code(code).status, code, "Create one with POST /elders.", **details)
        _, _, err = run("--lang", language, "models", "GONE", handler=handler)
        assert told in err
        assert "POST" not in err


def test_a_command_is_named_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "heirloom"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", [str(program), "models"])
    assert f"{program} up" in Words("en")("doctor.api_down")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Words("en")("doctor.api_down") == "not running -> heirloom up"


def test_no_sentence_names_a_command_that_may_not_be_found() -> None:
    commands = {name.removeprefix("help.").partition(".")[0] for name in read_sentences() if name.startswith("help.")}
    for key, sentence in read_sentences().items():
        for text in sentence.values():
            assert not re.search(rf"(?<![{{'/])\bheirloom ({'|'.join(commands)})\b", text), key


def test_what_is_to_be_installed_is_pinned_and_never_a_strangers_package_of_our_name() -> None:
    for key, sentence in read_sentences().items():
        for text in sentence.values():
            assert text.count("pip install") == text.count(".venv/bin/pip install -c constraints.txt"), key


def test_a_reason_in_a_chinese_sentence_is_chinese(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = run("--lang", "zh", "import", "E1", str(tmp_path), handler=answers(200, {}))
    assert (code, err) == (1, f"错误：{tmp_path}：这是一个文件夹\n")
    monkeypatch.setenv("HEIRLOOM_PORT", "x")
    assert run("--lang", "zh", "models", handler=answers(200, {}))[2].endswith("HEIRLOOM_PORT: 应为整数\n")


def test_a_server_that_is_down_says_how_to_start_it(run: Run) -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    code, out, err = run("models", handler=down)
    assert (code, out) == (1, "")
    assert err == "Error: Nothing answers at http://heirloom.test. Start it with: heirloom up\n"


def test_another_program_on_the_port_is_recognised(run: Run) -> None:
    code, _, err = run("models", handler=lambda request: httpx.Response(404, text="<html>nginx"))
    assert code == 1
    assert "another program" in err


def test_errors_are_in_the_asked_language_and_the_server_is_told_it(run: Run) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        assert request.headers["Accept-Language"] == "zh"
        raise httpx.ReadTimeout("slow")

    code, _, err = run("--lang", "zh", "models", handler=slow)
    assert code == 1
    assert err.startswith("错误：http://heirloom.test 响应超时")


def test_an_address_that_is_not_this_computers_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEIRLOOM_API_URL")
    monkeypatch.setenv("HEIRLOOM_HOST", "192.0.2.1")
    code, _, err = run("up", handler=answers(200, {}))
    assert code == 1
    assert "no address 192.0.2.1" in err


def test_a_missing_key_says_where_to_get_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEIRLOOM_API_KEY")
    code, _, err = run("models", handler=refusal(401, "unauthorized", "Wrong key."))
    assert code == 1
    assert "HEIRLOOM_API_KEY" in err


def test_a_file_that_is_not_there_is_said_before_anything_is_sent(run: Run) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing may be sent")

    assert run("import", "E1", "no-such.jsonl", handler=never)[2] == "Error: There is no file no-such.jsonl.\n"


def test_a_bad_setting_is_named_without_its_value(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEIRLOOM_PORT", "hl_not_a_number")
    code, _, err = run("models", handler=answers(200, {}))
    assert code == 1
    assert "HEIRLOOM_PORT" in err
    assert "hl_not_a_number" not in err


def test_no_key_is_ever_printed(run: Run) -> None:
    for handler in (refusal(401, "unauthorized", "Wrong key."), answers(200, {"models": []})):
        _, out, err = run("models", handler=handler)
        assert "hl_secret" not in out + err


# ---- commands ---------------------------------------------------------------------------------------------


def test_import_sends_the_file_as_it_is_and_says_what_was_new(run: Run, tmp_path: Path) -> None:
    file, questions = tmp_path / "a.jsonl", tmp_path / "q.jsonl"
    file.write_bytes(b'{"question": "q", "answer": "\xe5\xae\xb6"}\n')
    questions.write_bytes(b'{"question": "q", "expects": []}\n')
    sent: list[tuple[str, str, bytes]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path, request.read()))
        return httpx.Response(201, json={"added": 1, "total": 7, "personal": 0})

    code, out, _ = run("import", "E1", str(file), "--questions", str(questions), handler=handler)
    assert code == 0
    assert sent == [
        ("POST", "/elders/E1/uploads", file.read_bytes()),
        ("PUT", "/elders/E1/questions", questions.read_bytes()),
    ]
    assert "1 new memories; E1 has 7 now." in out


@pytest.mark.parametrize(("engine", "said"), [("vllm", "by: vllm"), ("", "by: the configured one")])
def test_an_elders_engine_is_chosen_or_given_back(run: Run, engine: str, said: str) -> None:
    sent: list[tuple[str, str, object]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path, json.loads(request.read())))
        return httpx.Response(200, json={"engine": engine})

    code, out, _ = run("elder", "engine", "E1", *([engine] if engine else []), handler=handler)
    assert code == 0 and said in out
    assert sent == [("PUT", "/elders/E1/engine", {"engine": engine})]


def test_why_tells_the_memories_and_what_they_became(run: Run) -> None:
    origin = {
        "thing": {"kind": "sample", "id": "s_1", "text": "q -> a", "memory_ids": ["m_1"]},
        "memories": [{"id": "m_1", "text": "I was born in Dunmore."}],
        "made": [{"kind": "topic", "id": "home", "text": "[birth], village", "memory_ids": ["m_1"]}],
    }
    code, out, _ = run("why", "E1", "s_1", handler=answers(200, origin))
    assert code == 0
    assert "m_1: I was born in Dunmore." in out and "topic" in out and "[birth], village" in out
    nothing = origin | {"memories": [], "made": []}
    code, out, _ = run("why", "E1", "s_2", handler=answers(200, nothing))
    assert "no memory: it teaches" in out
    turn = {"kind": "turn", "id": "u_1", "text": "q\n-> a", "memory_ids": []}
    code, out, _ = run("why", "E1", "u_1", handler=answers(200, nothing | {"thing": turn, "made": [turn]}))
    assert "This answer was given no memory." in out and "in a talk, by AI" in out


def test_biography_tells_the_life_and_what_it_is_about(run: Run) -> None:
    life = {
        "third_person": "She was born in Cley.",
        "topics": [{"name": "the sea", "memory_ids": ["m_1"]}, {"name": "school", "memory_ids": ["m_2"]}],
        "shades": [],
    }
    code, out, _ = run("biography", "E1", handler=answers(200, life))
    assert code == 0 and "She was born in Cley." in out and "the sea, school" in out
    _, out, _ = run("--lang", "zh", "biography", "E1", handler=answers(200, life))
    assert "讲述的内容：the sea、school" in out and "为人" not in out


def test_graph_shows_who_is_who_and_what_came_when_in_both_languages(run: Run) -> None:
    parts: dict[str, Any] = {
        "graph": {
            "entities": [{"title": "TOM", "type": "person"}, {"title": "CLEY", "type": "place"}],
            "relationships": [{}],
            "communities": [],
            "failed_memory_ids": ["m_9"],
        },
        "kinship": {
            "relatives": [
                {"whose": "", "kin": "mother", "called": "Mum", "name": "Dora", "memory_ids": ["m_1", "m_2"]},
                {"whose": "老周", "kin": "grandmother", "called": "外婆", "name": "", "memory_ids": ["m_3"]},
            ]
        },
        "timeline": {
            "happenings": [
                {
                    "told": "the year of the flood",
                    "year": None,
                    "text": "[It] rained.",
                    "titles": [],
                    "memory_id": "m_4",
                },
                {"told": "1950", "year": 1950, "text": "We danced.", "titles": [], "memory_id": "m_5"},
            ]
        },
    }

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=parts[request.url.path.rsplit("/", 1)[-1]])

    code, out, _ = run("graph", "E1", handler=handler)
    assert code == 0
    for told in ("mother (Mum)", "Dora", "m_1 m_2", "the year of the flood", "[It] rained.", "1950", "1 people", "m_9"):
        assert told in out, told
    code, out, _ = run("--lang", "zh", "graph", "E1", handler=handler)
    assert code == 0
    for told in ("母亲 (Mum)", "祖母、外祖母 (外婆)", "时间线", "人物 1", "（老人的）"):
        assert told in out, told


def test_every_kind_of_relative_has_its_word_in_both_languages() -> None:
    assert {f"kin.{kind}" for kind in KINDS} == {key for key in read_sentences() if key.startswith("kin.")}


def test_an_id_cannot_climb_out_of_its_place_in_the_path() -> None:
    paths: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(200, json={})

    client = Client(Account(url="http://h.test", key=""), transport=httpx.MockTransport(handler))
    client.model("../../etc/passwd")
    assert paths == [b"/models/..%2F..%2Fetc%2Fpasswd"]


def test_chat_streams_the_answer_and_shows_its_memories(run: Run) -> None:
    stream = _sse(("memories", {"memory_ids": ["m_1"]}), ("token", {"text": "In [red]"}), ("token", {"text": " 1938."}))
    stream += _sse(("done", {"memory_ids": ["m_1"], "response": "In [red] 1938."}))
    code, out, _ = run("chat", "E1", "When?", handler=lambda request: httpx.Response(200, text=stream))
    assert (code, out) == (0, "In [red] 1938.\nmemories: m_1\n")


def _talking(asked: list[dict[str, Any]], **done: object) -> Handler:
    """Answers every question, and knows one conversation."""
    said = {"memory_ids": [], "response": "No.", "conversation_id": "c_1", "turn_id": "u_1"} | done

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/conversations":
            kept = [{"conversation_id": "c_0", "title": "The [red] boat?"}]
            return httpx.Response(200, json={"conversations": kept if request.url.params["member"] == "Mia" else []})
        if request.url.path == "/chat":
            asked.append(json.loads(request.content))
            return httpx.Response(200, text=_sse(("token", {"text": "No."}), ("done", said)))
        return httpx.Response(200, json={"active": None, "versions": []})

    return handler


def test_a_talk_is_kept_under_a_members_name_and_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("sys.stdin", io.StringIO("first\nsecond\n\n"))
    assert run("chat", "E1", "--member", "Mia", handler=_talking(asked))[0] == 0
    assert [(one["member"], one.get("conversation_id")) for one in asked] == [("Mia", None), ("Mia", "c_1")]
    code, out, _ = run("chat", "E1", "q", "--member", "Mia", "--continue", "--strict", handler=_talking(asked))
    assert (code, asked[-1]["conversation_id"], asked[-1]["strict"]) == (0, "c_0", True)
    assert "Going on with: The [red] boat?" in out and "kept as u_1\n" in out


def test_a_plain_question_is_sent_as_it_always_was(run: Run) -> None:
    asked: list[dict[str, Any]] = []
    run("chat", "E1", "q", handler=_talking(asked, conversation_id=None, turn_id=None))
    assert asked == [{"elder_id": "E1", "message": "q", "conversation_history": [], "stream": True}]


def test_what_cannot_be_continued_or_kept_says_so(run: Run) -> None:
    code, _, err = run("chat", "E1", "q", "--continue", handler=_talking([]))
    assert code == 1 and "--member NAME" in err
    lost = {"conversation_id": None, "turn_id": None}
    _, out, _ = run("chat", "E1", "q", "--member", "Jo", "--continue", handler=_talking([], **lost))
    assert "no talk of Jo with E1" in out and "This answer was not kept." in out
    _, out, _ = run("chat", "E1", "q", "--strict", handler=_talking([], refused=True))
    assert "nothing was generated" in out


def test_feedback_is_listed_with_what_no_memory_holds_marked(run: Run, tmp_path: Path) -> None:
    told = {
        "feedback_id": "f_1", "member": "Mia", "verdict": "down", "question": "Where [red]?", "answer": "In Rome.",
        "correction": "In Tuam.", "unsupported": ["Tuam"], "personal_data": [],
    }  # fmt: skip
    paths: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        paths.append(str(request.url.raw_path, "ascii"))
        return httpx.Response(200, json={"feedback": [told], "total": 3})

    code, out, _ = run("feedback", "list", "E1", "--limit", "1", handler=handler)
    assert code == 0 and paths == ["/feedback?elder_id=E1&limit=1&offset=0"]
    assert all(one in out for one in ("f_1", "Mia", "not right", "Where [red]?", "⚠ In Tuam.", "1 of 3"))
    exported = lambda request: httpx.Response(200, text='{"feedback_id": "f_1"}\n')  # noqa: E731
    code, out, _ = run("feedback", "export", "E1", str(tmp_path / "f.jsonl"), handler=exported)
    assert code == 0 and "1 thumbs" in out and (tmp_path / "f.jsonl").read_text() == '{"feedback_id": "f_1"}\n'


def test_an_elder_without_a_model_greets_nobody(run: Run) -> None:
    refused = {"error": {"code": "model_not_found", "message": "None.", "details": {"elder": "E1"}}}
    code, out, err = run("chat", "E1", handler=lambda request: httpx.Response(404, json=refused))
    assert (code, out) == (1, "")
    assert "heirloom train E1" in err


def test_an_answer_that_breaks_off_is_an_error(run: Run) -> None:
    stream = _sse(("token", {"text": "In"}), ("error", {"code": "engine_unavailable", "message": "No engine."}))
    code, out, err = run("chat", "E1", "When?", handler=lambda request: httpx.Response(200, text=stream))
    assert (code, out) == (1, "In")
    assert "No engine." in err


@pytest.mark.parametrize(
    ("command", "path", "reply"),
    [
        (
            ("elder", "delete", "E1"),
            "/elders/E1",
            {"deleted_answers": 3, "deleted_versions": 1, "deleted_jobs": 1},
        ),
        (("answer", "delete", "E1", "a_1"), "/elders/E1/answers/a_1", {"message": "Taken back.", "total": 2}),
        (("feedback", "delete", "E1", "f_1"), "/feedback/E1/f_1", {"success": True}),
        (("models", "retire", "E1", "2"), "/models/E1/versions/2", {"version": 2, "freed_bytes": 5}),
    ],
)
def test_deleting_is_asked_about_first(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], path: str, reply: dict[str, Any]
) -> None:
    sent: list[tuple[str, str]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path))
        return httpx.Response(200, json=reply)

    for typed, is_done in (("n\n", False), ("", False), ("y\n", True)):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code, out, err = run(*command, handler=handler)
        assert (code == 0, "Nothing was deleted." in out, err) == (is_done, not is_done, "")
        assert "E1" in out
    assert sent == [("DELETE", path)]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run(*command, "--yes", handler=handler)[0] == 0
    assert len(sent) == 2


def test_the_word_models_is_followed_by_a_command_or_by_an_elder(run: Run) -> None:
    model = {
        "elder_id": "E1",
        "version": 2,
        "is_active": True,
        "base": "smollm2",
        "quantisation": "q8_0",
        "storage": "adapter",
        "engine": "llama_cpp",
        "size_bytes": 19_567_168,
        "created_at": "2026-01-02T03:04:05",
        "arms": [{"arm": "trained", "recall": 0.5, "honesty": 0.25, "invention": 0.0, "style": 1.0, "ability": 0.33}],
    }
    details = {
        "elder_id": "E1",
        "active": model,
        "versions": [model],
        "versions_bytes": 40_000_000,
        "training_bytes": 5,
    }
    code, out, _ = run("models", "E1", handler=answers(200, details))
    assert (
        code == 0
        and "0.33" in out
        and "20 MB" in out
        and "adapter" in out
        and "●" in out
        and "40 MB of versions" in out
    )

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path, request.url.query.decode(), request.content))
        other = model | {"version": 1, "arms": [model["arms"][0] | {"recall": 0.75}]}
        told = {"elder_id": "E1", "a": other, "b": model, "is_same_questions": False, "answers": ["In Dunmore.", "No."]}
        return httpx.Response(200, json=told | ({"answers": None} if request.method == "GET" else {}))

    sent: list[tuple[str, str, str, bytes]] = []
    code, out, _ = run("models", "compare", "E1", "1", "2", handler=handler)
    assert code == 0 and "0.75" in out and "0.50" in out and "cannot be compared" in out
    code, out, _ = run("models", "compare", "E1", "1", "2", "--ask", "Where?", handler=handler)
    assert code == 0 and "Version 1 (an AI): In Dunmore." in out and "Version 2 (an AI): No." in out
    assert sent[0] == ("GET", "/models/E1/compare", "a=1&b=2", b"")
    assert sent[1][:3] == ("POST", "/models/E1/compare", "") and b"Where?" in sent[1][3]


@pytest.mark.parametrize(
    ("command", "method", "path", "told"),
    [
        (("activate", "E1", "2"), "POST", "/models/E1/activate", "talks with version 2 of E1"),
        (("rollback", "E1"), "POST", "/models/E1/rollback", "talks with version 2 of E1"),
        (("retire", "E1", "2", "--yes"), "DELETE", "/models/E1/versions/2", "Version 2 of E1 is deleted; 20 MB freed"),
    ],
)
def test_versions_are_put_to_use_and_retired_from_the_command_line(
    run: Run, command: tuple[str, ...], method: str, path: str, told: str
) -> None:
    sent: list[tuple[str, str]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path))
        return httpx.Response(200, json={"version": 2, "freed_bytes": 19_567_168})

    code, out, _ = run("models", *command, handler=handler)
    assert code == 0 and told in out
    assert sent == [(method, path)]


def test_answers_are_listed_by_their_first_words(run: Run) -> None:
    told = {
        "answer_id": "a_1",
        "question": "Where [red]?",
        "answer": "In Dunmore. " + "x" * 100,
        "personal_data": ["phone"],
    }

    def handler(request: httpx.Request) -> httpx.Response:
        assert dict(request.url.params) == {"limit": "1", "offset": "2"}
        return httpx.Response(200, json={"answers": [told], "total": 7})

    code, out, _ = run("answer", "list", "E1", "--limit", "1", "--offset", "2", handler=handler)
    assert code == 0
    assert "a_1" in out and "Where [red]?" in out and "xxx…" in out and "1 of 7" in out


def test_a_revoked_key_gives_way_to_a_new_one_also_in_the_account_that_is_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    families = MemoryFamilies()
    _, key = add_family(families, "ours", clock=utc_now)
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    keep_account(Account(url="http://h.test", key=key), data_dir)
    monkeypatch.setenv("HEIRLOOM_MONGO_URL", "mongodb://nowhere.test")
    monkeypatch.setattr(family, "connect", lambda *_: None)
    monkeypatch.setattr(family, "MongoFamilies", lambda _: families)

    code, out, _ = run("family", "revoke", key, handler=answers(200, {}))

    new = out.splitlines()[-1]
    assert code == 0 and new.startswith("hl_") and key not in out
    assert families.tenant_of_key(key_sha256(key)) is None
    assert families.tenant_of_key(key_sha256(new)) is not None
    kept = kept_account(data_dir)
    assert kept is not None and kept.key == new
    code, _, err = run("family", "revoke", key, handler=answers(200, {}))
    assert (code, "revoked already" in err) == (1, True)


def test_export_leaves_an_existing_file_alone_and_a_broken_export_leaves_none(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    file.write_text("mine")
    assert run("export", "E1", str(file), handler=answers(200, {}))[0] == 1
    assert file.read_text() == "mine"
    gone = tmp_path / "gone.jsonl"
    assert run("export", "E1", str(gone), handler=refusal(404, "elder_not_found", "None."))[0] == 1
    assert list(tmp_path.glob("*gone*")) == []
    code, out, _ = run("export", "E1", str(file), "--force", handler=lambda r: httpx.Response(200, text="{}\n{}\n"))
    assert code == 0
    assert "2 samples" in out


def test_events_are_read_as_the_standard_says() -> None:
    lines = [
        ": hello",
        "event: a",
        'data: {"x":',
        "data: 1}",
        "",
        'data: {"y": 2}',
        "",
        "event: unfinished",
        "data: {}",
    ]
    assert list(events(iter(lines))) == [("a", {"x": 1}), ("message", {"y": 2})]


# ---- training ---------------------------------------------------------------------------------------------


def test_train_watches_to_the_end_and_shows_what_was_measured(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.time, "sleep", lambda seconds: None)
    code, out, err = run("train", "E1", handler=_Server(progress("training", "running"), progress("completed", "done")))
    assert (code, err) == (0, "")
    assert "Learn what was told: epoch 1/3" in out
    assert "Learn what was told: done 12.0 s" in out
    assert "version 1 of E1" in out
    assert "0.95" in out


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({"kept": "recall", "against": "in_use", "got": 0.5, "wanted": 0.81}, "worse than the one in use (recall 0.50"),
        (
            {"kept": "invention", "against": "base", "got": 0.5, "wanted": 0.1},
            "invents more than the untrained base (0.50",
        ),
    ],
)
def test_a_training_that_made_nothing_better_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, kept: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(training.time, "sleep", lambda seconds: None)
    over = progress("completed", "done")
    over["stages"].append({"name": "publish", "state": "done", "progress": 100, "seconds": 1.0, "facts": kept})
    code, out, _ = run("train", "E1", handler=_Server(over))
    assert code == 0
    assert said in " ".join(out.split()) and "version 1 of E1 stays in use" in " ".join(out.split())


def test_what_a_training_takes_is_said_before_it_is_started(run: Run) -> None:
    server = _Server(progress("completed", "done"))
    _, out, _ = run("train", "E1", handler=server)
    assert "about 20 minutes and asks gpt about 84 times" in " ".join(out.split())
    assert server.paths.index("/train/quote/E1") < server.paths.index("/train/start")


def test_a_training_that_runs_already_is_joined(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    server = _Server(progress("completed", "done"))
    server.start = refusal(409, "job_running", "Job j_1 is running.", job_id="j_1")
    code, out, _ = run("train", "E1", handler=server)
    assert code == 0
    assert "Job j_1 is running already" in out


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    server = _Server(progress("training", "running"))
    monkeypatch.setattr(commands.training, "watch", interrupt)
    code, out, _ = run("train", "E1", handler=server)
    assert code == 0
    assert "heirloom train E1 --cancel" in out
    assert "/train/cancel/j_1" not in server.paths


def test_cancel_cancels_the_running_job(run: Run) -> None:
    server = _Server(progress("cancelled", "waiting"))
    server.elder = answers(200, {"elders": [{"elder_id": "E1", "job_id": "j_1"}]})
    code, out, _ = run("train", "E1", "--cancel", handler=server)
    assert code == 0
    assert "/train/cancel/j_1" in server.paths
    assert "The job is cancelled" in out


def test_cancel_without_a_running_job_starts_and_cancels_nothing(run: Run) -> None:
    server = _Server(progress("cancelled", "waiting"))
    server.elder = answers(200, {"elders": [{"elder_id": "E1", "job_id": None}]})
    code, out, _ = run("train", "E1", "--cancel", handler=server)
    assert code == 0 and "No training of E1 is running" in out
    assert server.paths == ["/elders"]


def test_a_failed_training_ends_with_its_reason_and_code_1(run: Run) -> None:
    failed = progress("failed", "failed") | {"error": {"code": "stage_failed", "message": "It broke."}}
    code, _, err = run("train", "E1", handler=_Server(failed))
    assert (code, err) == (1, "Error: Training failed (stage_failed): It broke.\n")


def test_the_stage_that_a_cancel_stopped_is_not_called_failed(run: Run) -> None:
    code, out, _ = run("train", "E1", handler=_Server(progress("cancelled", "cancelled")))
    assert code == 1 and "stopped" in out and "failed" not in out


def test_a_retrain_with_nothing_changed_says_so() -> None:
    assert training.outcome(progress("completed", "skipped"), Words("en")).startswith("Nothing has changed")


def test_a_training_says_which_of_the_judged_answers_it_lost() -> None:
    over = progress("completed", "done")
    facts = {"regressions": 5, "regressed": 2}
    over["stages"].append({"name": "publish", "state": "done", "progress": 100, "seconds": 1.0, "facts": facts})
    assert training.outcome(over, Words("en")).endswith("Of 5 answers that the family judged, 2 are not right now.")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_training_says_what_it_published_although_it_is_worse_and_with_whose_questions(language: str) -> None:
    over = progress("completed", "done")
    facts = {"worse_than_base": "recall", "got": 0.4, "wanted": 0.71, "split_off": 32}
    over["stages"].append({"name": "publish", "state": "done", "progress": 100, "seconds": 1.0, "facts": facts})
    done, worse, asked = training.outcome(over, Words(language)).splitlines()
    assert "1" in done and {"en": "recall 0.40", "zh": "记忆率 0.40"}[language] in worse and "0.71" in worse
    assert "32" in asked and "import E1" in asked


def test_a_training_says_what_the_model_can_do_besides() -> None:
    over = progress("completed", "done")
    facts = {"ability_base": 0.5, "ability_trained": 0.25}
    over["stages"].append({"name": "publish", "state": "done", "progress": 100, "seconds": 1.0, "facts": facts})
    assert "base 0.50, trained 0.25" in training.outcome(over, Words("en"))


def test_an_api_that_is_being_started_again_is_waited_for() -> None:
    server = _Server(progress("completed", "done"))
    tries = iter([True, True, False])

    def handler(request: httpx.Request) -> httpx.Response:
        if next(tries, False):
            raise httpx.ConnectError("refused")
        return server(request)

    client = Client(Account(url="http://h.test", key="k"), transport=httpx.MockTransport(handler))
    console = Console(file=io.StringIO(), force_terminal=True)
    done = training.watch(client, "j_1", console=console, words=Words("en"), pause=lambda seconds: None)
    assert done["status"] == "completed"


# ---- the left brain -----------------------------------------------------------------------------------------


def test_a_left_brain_is_trained_by_an_option_and_its_figures_are_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.time, "sleep", lambda seconds: None)
    server = _Server(progress("completed", "done") | {"brain": "left"})
    code, out, err = run("train", "E1", "--brain", "left", handler=server)
    assert (code, err) == (0, "")
    assert server.started["brain"] == "left"
    assert "left brain 1 of E1" in out and "held to JSON" in out and "0.75" in out
    assert "Nobody has reviewed" in " ".join(out.split())
    assert run("train", "E1", "--brain", "middle", handler=server)[0] == 2


def test_a_left_brain_that_finds_less_says_that_the_one_before_stays(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.time, "sleep", lambda seconds: None)
    over = progress("completed", "done") | {"brain": "left"}
    kept = {"kept": "f1", "against": "in_use", "got": 0.2, "wanted": 0.5}
    over["stages"].append({"name": "publish", "state": "done", "progress": 100, "seconds": 1.0, "facts": kept})
    code, out, _ = run("train", "E1", "--brain", "left", handler=_Server(over))
    assert code == 0
    assert "left brain 1 of E1 stays in use" in " ".join(out.split())


def test_the_golden_set_goes_to_a_file_that_is_not_overwritten_and_comes_back(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "golden.jsonl"
    sent: list[bytes] = []

    def serve(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            sent.append(request.content)
            return httpx.Response(200, json={"total": 1})
        return httpx.Response(200, text='{"approved": false}\n')

    code, out, _ = run("left-brain", "golden", "E1", "--out", str(file), handler=serve)
    assert code == 0 and "1 memories" in out and "--in" in out
    file.write_text('{"approved": true}\n')
    assert run("left-brain", "golden", "E1", "--out", str(file), handler=serve)[0] == 1
    assert run("left-brain", "golden", "E1", "--in", str(file), handler=serve)[0] == 0
    assert sent == [b'{"approved": true}\n']
    for options in ([], ["--out", str(file), "--in", str(file)]):
        code, _, err = run("left-brain", "golden", "E1", *options, handler=serve)
        assert (code, "--out" in err) == (1, True)


# ---- account and settings ---------------------------------------------------------------------------------


def test_the_kept_key_is_for_its_owner_only_and_sent_nowhere_else(tmp_path: Path) -> None:
    keep_account(Account(url="http://127.0.0.1:8001", key="hl_kept"), tmp_path)
    assert (tmp_path / "client.json").stat().st_mode & 0o777 == 0o600
    assert find_account(Settings(data_dir=tmp_path, api_url="", api_key="")).key == "hl_kept"
    assert find_account(Settings(data_dir=tmp_path, api_url="http://127.0.0.1:8001/", api_key="")).key == "hl_kept"
    assert find_account(Settings(data_dir=tmp_path, api_url="https://elsewhere.test", api_key="")).key == ""
    assert "hl_kept" not in repr(find_account(Settings(data_dir=tmp_path, api_url="", api_key="")))


def test_processes_are_given_every_setting_but_the_familys_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path, port=8123, OLLAMA_HOST="http://gpu:11434", api_key="hl_secret")
    environment = settings_environment(settings)
    assert "hl_secret" not in environment.values()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEIRLOOM_API_KEY", "hl_secret")
    assert Settings() == settings


# ---- the sample elders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", sorted(file.parent.name for file in SAMPLES.glob("*/elder.json")))
def test_a_sample_elder_is_sent_whole(language: str) -> None:
    sample = Sample(SAMPLES / language)
    assert len(sample.answers().splitlines()) == len(sample.memories) >= 40
    questions = [json.loads(line) for line in sample.questions().splitlines()]
    assert sum(not row["expects"] for row in questions) == len(sample.unanswerable) == 20
    assert len(sample.to_ask()) == 6


def test_a_second_demo_finds_the_elder_there() -> None:
    server = _Server(progress("completed", "skipped"))
    server.elder = refusal(409, "elder_exists", "There already.")
    client = Client(Account(url="http://h.test", key="k"), transport=httpx.MockTransport(server))
    console = Console(record=True, width=160, file=io.StringIO())
    demo.run_demo(client, Sample(SAMPLES / "en"), console=console, words=Words("en"))
    shown = console.export_text()
    assert "Nothing has changed" in shown
    assert shown.count("memories: m_1") == 6


class _Server:
    """The REST paths that a training asks, with one progress after the other."""

    def __init__(self, *progresses: dict[str, Any]) -> None:
        self._progresses = list(progresses)
        self.paths: list[str] = []
        self.started: dict[str, Any] = {}
        self.start = answers(200, {"success": True, "message": "", "job_id": "j_1", "elder_id": "E1"})
        self.elder = answers(201, {"elder_id": "E1", "name": "E", "language": "en", "base_model": ""})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.paths.append(path)
        if path == "/train/start":
            self.started = json.loads(request.content)
            return self.start(request)
        if path.startswith("/train/quote/"):
            asked = {"teacher": "gpt", "calls": 84, "tokens": 60_000, "time": "20 minutes"}
            return httpx.Response(200, json=asked)
        if path.startswith("/train/"):
            return httpx.Response(200, json=self._next())
        if path.startswith("/models/"):
            return httpx.Response(200, json={"active": {"arms": ARMS}, "versions": []})
        if path.endswith("/left-brain"):
            return httpx.Response(200, json=LEFT_BRAIN)
        if path == "/elders":
            return self.elder(request)
        if path == "/chat":
            return httpx.Response(200, text=_sse(("token", {"text": "Yes."}), ("done", {"memory_ids": ["m_1"]})))
        return httpx.Response(201, json={"added": 0, "total": 42, "personal": 0})

    def _next(self) -> dict[str, Any]:
        return self._progresses.pop(0) if len(self._progresses) > 1 else self._progresses[0]


LEFT_BRAIN = {
    "elder_id": "E1",
    "version": 1,
    "base": "tiny",
    "memories": 9,
    "small_talk": 6,
    "is_reviewed": False,
    "scores": [{"arm": "grammar", "valid": 1.0, "exact": 0.5, "f1": 0.75, "small_talk": 1.0, "fields": {}}],
}
ARMS = [
    {"arm": "base", "recall": 0.0, "honesty": 0.1, "invention": 0.4, "style": 0.1},
    {"arm": "trained+retrieval", "recall": 0.95, "honesty": 0.85, "invention": 0.02, "style": 0.9},
]


def progress(status: str, state: str) -> dict[str, Any]:
    facts = {"epoch": 1.0, "epochs": 3, "loss": 1.5, "tokens_per_second": 900.0}
    stage = {"name": "train_sft", "state": state, "progress": 30, "seconds": 12.0, "facts": facts}
    return {
        "job_id": "j_1",
        "elder_id": "E1",
        "status": status,
        "progress": 40,
        "eta": "5 minutes",
        "stages": [stage],
        "version": 1,
        "error": None,
    }


def _sse(*frames: tuple[str, dict[str, Any]]) -> str:
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in frames)


def _blanks(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_what_was_made_of_the_memories_is_told_beside_its_stage() -> None:
    counted = {"samples": 2521, "shown": 382, "refusals": 166, "dropped": 10}
    stage = {"name": "make_samples", "state": "done", "seconds": 9.0, "facts": counted}
    assert facts(stage, Words("en")) == "2521 samples (382 with memories, 166 refusals), 10 dropped"
    assert "2521 条样本" in facts(stage, Words("zh"))


def test_a_measure_that_was_not_asked_is_a_dash_and_no_nought() -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(arms_table("E1", [ARMS[1] | {"honesty": None, "ability": None}], Words("en")))
    row = next(line for line in console.export_text().splitlines() if "0.95" in line)
    assert row.count(" - ") == 2 and "0.00" not in row


def test_an_unknown_key_of_words_is_a_programmers_error() -> None:
    with pytest.raises(KeyError):
        Words("en")("no.such")
    assert isinstance(CliError("api.down", url="x"), Exception)


def test_a_port_for_a_part_is_none_that_a_connection_of_another_could_take() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert all(free_port() < first for _ in range(50))
