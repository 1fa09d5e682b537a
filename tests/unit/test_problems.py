"""Problems: whoever asks in Chinese is refused in Chinese, whichever layer refuses."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from config.settings import ROOT
from kernel import errors
from kernel.errors import HeirloomError
from tests.unit.test_api import ELDER, House

_ENGLISH = re.compile(r"\b(field|required|input|should|valid|error|method|not|the|answer|request)\b", re.IGNORECASE)
_JSON = {"Content-Type": "application/json"}
_CHAT = {"elder_id": ELDER, "message": "m"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.elder()
    return house


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "told"),
    [
        ("POST", "/chat", {}, 422, "提交的内容：缺少这一项"),
        ("POST", "/chat", {"content": b"{bad", "headers": _JSON}, 422, "提交的内容：不是有效的 JSON"),
        ("POST", "/chat", {"json": [1]}, 422, "提交的内容：应为 JSON 对象"),
        ("POST", "/chat", {"json": {"elder_id": 3, "message": ""}}, 422, "elder_id：应为文字；message：至少"),
        ("POST", "/chat", {"json": _CHAT | {"message": "x" * 8001}}, 422, "message：最多 8000 个字"),
        ("POST", "/chat", {"json": _CHAT | {"temperature": 9}}, 422, "temperature：不能大于 2"),
        ("POST", "/chat", {"json": _CHAT | {"stream": "perhaps"}}, 422, "应为 true 或 false"),
        ("POST", "/chat", {"json": _CHAT | {"odd": 1}}, 422, "odd：没有这一项"),
        ("POST", "/elders", {"json": {"elder_id": "a", "name": "n", "language": "fr"}}, 422, "只能是 'zh' 或 'en'"),
        ("POST", "/elders", {"json": {"elder_id": "a b", "name": "n"}}, 422, "老人编号（elder_id）只能是"),
        ("POST", "/elders", {"json": {"elder_id": "a", "name": "n", "base_model": "b"}}, 422, "没有基础模型 b"),
        ("GET", f"/conversations?offset={10**20}", {}, 422, "offset：不能大于 2147483648"),
        ("GET", f"/feedback?elder_id={ELDER}&offset={10**20}", {}, 422, "offset：不能大于 2147483648"),
        ("GET", f"/elders/{ELDER}/answers?offset={10**20}", {}, 422, "offset：不能大于 2147483648"),
        ("DELETE", "/chat", {}, 405, "这个地址不支持这种请求方法。"),
        ("POST", f"/elders/{ELDER}/answers", {"json": {"answer": "a" * 200_001}}, 413, "回答超过了 200 kB"),
        ("POST", f"/elders/{ELDER}/answers", {"json": {"answer": " "}}, 422, "回答里没有文字：请写下老人说的话。"),
        ("POST", f"/elders/{ELDER}/answers/bulk", {"content": b"x" * 6_000_001}, 413, "这次提交的内容超过了 6 MB"),
        ("POST", f"/elders/{ELDER}/answers/bulk", {"content": b"x"}, 422, "第 1 行无法读取（不是有效的 JSON）"),
        ("POST", f"/elders/{ELDER}/answers/bulk", {"content": b""}, 422, "文件是空的：每行写一条回答。"),
    ],
)
def test_a_refusal_is_chinese_from_its_first_word_to_its_last(
    house: House, method: str, path: str, sent: dict[str, Any], status: int, told: str
) -> None:
    headers = {"Accept-Language": "zh-CN,zh;q=0.9", **sent.get("headers", {})}
    answer = house.client.request(method, path, **sent | {"headers": headers})
    message = answer.json()["error"]["message"]
    assert answer.status_code == status
    assert told in message
    assert not _ENGLISH.search(message), message


def test_what_is_told_of_models_and_jobs_is_chinese_too(house: House) -> None:
    job = str(house.start()["job_id"])
    answer = house.client.post("/chat", json={"elder_id": ELDER, "message": "q"}, headers={"Accept-Language": "zh"})
    assert "还没有模型" in answer.json()["error"]["message"]
    cancelled = house.client.post(f"/train/cancel/{job}", headers={"Accept-Language": "zh"}).json()
    assert cancelled["error"]["message"] == "任务已取消。"


def test_english_readers_are_told_in_english(house: House) -> None:
    assert house.client.post("/chat").json()["error"]["message"] == "the body: Field required"
    assert house.client.delete("/chat").json()["error"]["message"] == "Method Not Allowed"


@pytest.mark.parametrize(("path", "status"), [("/chat", 422), ("/v1/chat/completions", 400)])
@pytest.mark.parametrize(
    "body",
    [
        '{"elder_id": "e", "message": "您好"}'.encode("gbk"),
        b'{"message": "' + b"\xff" * 3 + b'"}',
        b"[" * 100_000,
        b'{"message": ' + b"9" * 5000 + b"}",
    ],
    ids=["GBK", "no encoding at all", "nested without end", "a number without end"],
)
def test_a_body_that_cannot_be_read_is_bad_input_and_says_what_to_send(
    house: House, path: str, status: int, body: bytes
) -> None:
    for language, told in (("en", "send JSON, encoded as UTF-8"), ("zh", "请发送 UTF-8 编码的 JSON")):
        answer = house.client.post(path, content=body, headers=_JSON | {"Accept-Language": language})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, "bad_input")
        assert told in error["message"]


def test_a_message_of_10_mb_is_refused_in_chat_as_too_large(house: House) -> None:
    answer = house.client.post("/chat", json=_CHAT | {"message": "x" * 10_000_000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_every_error_is_drawn_where_it_stands_in_the_tree() -> None:
    def walk(kind: type[HeirloomError], depth: int) -> Iterator[tuple[str, int]]:
        yield kind.__name__, depth
        for below in kind.__subclasses__():
            yield from walk(below, depth + 1)

    drawn = re.findall(r"^ {4}([ │├└─]*)([A-Z]\w+)", str(errors.__doc__), re.MULTILINE)
    assert sorted((name, len(lines) // 4) for lines, name in drawn) == sorted(walk(HeirloomError, 0))


def test_wherever_an_error_is_made_each_blank_of_its_message_has_a_value() -> None:
    made = [(path, *one) for name in _CODE for path in (ROOT / name).rglob("*.py") for one in _made(path)]
    assert len(made) > 100
    lacking = [
        f"{path.name}:{line} {kind.__name__} lacks {missing}"
        for path, line, kind, given in made
        if (missing := {blank for _, blank, _, _ in Formatter().parse(f"{kind.__doc__}{kind.zh}") if blank} - given)
    ]
    assert lacking == []


_CODE = ("kernel", "adapters", "workers", "config", "modelserver")


def _made(path: Path) -> Iterator[tuple[int, type[HeirloomError], set[str | None]]]:
    """Where an error is made: the line, which, and the details that it is given."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        kind = node.exc if isinstance(node, ast.Raise) else node.func if isinstance(node, ast.Call) else None
        found = getattr(errors, kind.id, None) if isinstance(kind, ast.Name) else None
        given = {one.arg for one in node.keywords} if isinstance(node, ast.Call) else set()
        if isinstance(found, type) and issubclass(found, HeirloomError) and None not in given:
            yield node.lineno, found, given
