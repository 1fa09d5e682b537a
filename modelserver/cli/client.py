"""The client: the REST API as the command line uses it. Whatever goes wrong becomes one sentence."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from modelserver.cli.account import Account
from modelserver.cli.words import CliError

_SECONDS = 30.0
_CHAT_SECONDS = 300.0  #: the first question loads the model
_DELETE_SECONDS = 300.0  #: gigabytes of weights
_UPLOAD_SECONDS = 120.0  #: a PDF of many pages
_FILE = {"Content-Type": "application/octet-stream"}
_NDJSON = {"Content-Type": "application/x-ndjson"}
_OWN_WORDS = {  #: the API's name its paths
    "unauthorized": "key.wrong",
    "elder_not_found": "elder.unknown",
    "model_not_found": "model.unknown",
    "version_not_found": "version.unknown",
    "left_brain_not_found": "left_brain.unknown",
    "answer_not_found": "answer.unknown",
    "feedback_not_found": "feedback.unknown",
    "graph_not_found": "graph.unknown",
    "bio_not_found": "biography.unknown",
    "nothing_extracted": "golden.none",
}

Json = dict[str, Any]


class Client:
    """`transport` is for tests."""

    def __init__(self, account: Account, *, language: str = "en", transport: httpx.BaseTransport | None = None) -> None:
        self.url = account.url
        self._has_key = bool(account.key)
        self._http = httpx.Client(
            base_url=account.url,
            headers={"Authorization": f"Bearer {account.key}", "Accept-Language": language},
            timeout=_SECONDS,
            transport=transport,
            trust_env=not is_local(account.url),
        )

    def close(self) -> None:
        self._http.close()

    # ---- elders ---------------------------------------------------------------------------------------

    def add_elder(self, elder: str, name: str, language: str, base_model: str = "", engine: str = "") -> Json:
        body = {"elder_id": elder, "name": name, "language": language, "base_model": base_model, "engine": engine}
        return self._call("POST", "/elders", json={key: value for key, value in body.items() if value})

    def choose_engine(self, elder: str, engine: str) -> Json:
        return self._call("PUT", f"/elders/{_id(elder)}/engine", json={"engine": engine})

    def elders(self) -> list[Json]:
        return list(self._call("GET", "/elders")["elders"])

    def add_answers(self, elder: str, lines: bytes) -> Json:
        path = f"/elders/{_id(elder)}/answers/bulk"
        return self._call("POST", path, content=lines, headers=_NDJSON)

    def upload(self, elder: str, name: str, body: bytes, *, sender: str) -> Json:
        """`sender`: the elder's name in a chat export."""
        asked = {"name": name} | ({"sender": sender} if sender else {})
        path = f"/elders/{_id(elder)}/uploads"
        return self._call("POST", path, params=asked, content=body, headers=_FILE, timeout=_UPLOAD_SECONDS)

    def answers(self, elder: str, *, limit: int, offset: int) -> Json:
        return self._call("GET", f"/elders/{_id(elder)}/answers", params={"limit": limit, "offset": offset})

    def delete_answer(self, elder: str, answer: str) -> Json:
        return self._call("DELETE", f"/elders/{_id(elder)}/answers/{_id(answer)}")

    def delete_elder(self, elder: str) -> Json:
        return self._call("DELETE", f"/elders/{_id(elder)}", timeout=_DELETE_SECONDS)

    def give_consent(self, elder: str, by: str) -> Json:
        return self._call("PUT", f"/elders/{_id(elder)}/consent", json={"by": by})

    def withdraw_consent(self, elder: str) -> Json:
        return self._call("DELETE", f"/elders/{_id(elder)}/consent")

    def set_questions(self, elder: str, lines: bytes) -> Json:
        return self._call("PUT", f"/elders/{_id(elder)}/questions", content=lines, headers=_NDJSON)

    # ---- training -------------------------------------------------------------------------------------

    def start_training(self, elder: str, *, force: bool, brain: str = "right") -> Json:
        """Under the name that the elder was added with."""
        body = {"elder_id": elder, "elder_name": "", "force_retrain": force, "brain": brain}
        return self._call("POST", "/train/start", json=body)

    def quote(self, elder: str, *, brain: str = "right") -> Json:
        return self._call("GET", f"/train/quote/{_id(elder)}", params={"brain": brain})

    def progress(self, job: str) -> Json:
        return self._call("GET", f"/train/progress/{_id(job)}")

    def cancel(self, job: str) -> Json:
        return self._call("POST", f"/train/cancel/{_id(job)}")

    # ---- models ---------------------------------------------------------------------------------------

    def models(self) -> list[Json]:
        return list(self._call("GET", "/models")["models"])

    def model(self, elder: str) -> Json:
        return self._call("GET", f"/models/{_id(elder)}")

    def compare(self, elder: str, a: int, b: int, question: str) -> Json:
        path = f"/models/{_id(elder)}/compare"
        if not question:
            return self._call("GET", path, params={"a": a, "b": b})
        return self._call("POST", path, json={"a": a, "b": b, "question": question}, timeout=_CHAT_SECONDS)

    def activate(self, elder: str, version: int) -> Json:
        return self._call("POST", f"/models/{_id(elder)}/activate", json={"version": version})

    def roll_back(self, elder: str) -> Json:
        return self._call("POST", f"/models/{_id(elder)}/rollback")

    def retire(self, elder: str, version: int) -> Json:
        return self._call("DELETE", f"/models/{_id(elder)}/versions/{version}", timeout=_DELETE_SECONDS)

    def why(self, elder: str, thing: str) -> Json:
        return self._call("GET", f"/provenance/{_id(elder)}/{_id(thing)}")

    def graph(self, elder: str, part: str = "graph") -> Json:
        """`part`: "graph", "timeline" or "kinship"."""
        return self._call("GET", f"/elders/{_id(elder)}/{part}")

    def biography(self, elder: str) -> Json:
        return self._call("GET", f"/elders/{_id(elder)}/biography")

    def left_brain(self, elder: str) -> Json:
        return self._call("GET", f"/elders/{_id(elder)}/left-brain")

    def golden(self, elder: str, path: Path) -> int:
        return self._download(f"/elders/{_id(elder)}/golden", path)

    def review_golden(self, elder: str, lines: bytes) -> Json:
        return self._call("PUT", f"/elders/{_id(elder)}/golden", content=lines, headers=_NDJSON)

    def export(self, elder: str, path: Path, *, what: str = "export-jsonl") -> int:
        """The samples, or "export-feedback"."""
        return self._download(f"/{what}/{_id(elder)}", path)

    def _download(self, address: str, path: Path) -> int:
        """Write the lines aside, then rename; returns how many."""
        aside = path.with_name(f".{path.name}.part")
        try:
            with self._stream("GET", address) as answer, aside.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
            aside.replace(path)
        except OSError as error:
            raise CliError("disk.failed", path=path, reason=error.strerror) from error
        finally:
            aside.unlink(missing_ok=True)
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())

    def feedback(self, elder: str, *, limit: int, offset: int) -> Json:
        return self._call("GET", "/feedback", params={"elder_id": elder, "limit": limit, "offset": offset})

    def delete_feedback(self, elder: str, feedback: str) -> Json:
        return self._call("DELETE", f"/feedback/{_id(elder)}/{_id(feedback)}")

    # ---- chat -----------------------------------------------------------------------------------------

    def chat(self, elder: str, message: str, history: list[Json], **more: Any) -> Iterator[tuple[str, Json]]:
        """("memories" | "token" | "done" | "error", data) as they come. `more`: member, conversation_id, strict."""
        body = {"elder_id": elder, "message": message, "conversation_history": history, "stream": True} | more
        with self._stream("POST", "/chat", json=body, timeout=_CHAT_SECONDS) as answer:
            yield from events(answer.iter_lines())

    def last_conversation(self, elder: str, member: str) -> Json | None:
        asked = {"elder_id": elder, "member": member, "limit": 1}
        return next(iter(self._call("GET", "/conversations", params=asked)["conversations"]), None)

    # ---- the wire -------------------------------------------------------------------------------------

    def _call(self, method: str, path: str, **request: Any) -> Json:
        with self._stream(method, path, **request) as answer:
            answer.read()
            try:
                return dict(answer.json())
            except (ValueError, TypeError):
                raise CliError("api.strange", url=self.url, status=answer.status_code) from None

    @contextmanager
    def _stream(self, method: str, path: str, **request: Any) -> Iterator[httpx.Response]:
        try:
            with self._http.stream(method, path, **request) as answer:
                self._check(answer)
                yield answer
        except httpx.TimeoutException as error:
            raise CliError("api.slow", url=self.url) from error
        except httpx.HTTPError as error:
            raise CliError("api.down", url=self.url) from error

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        answer.read()
        try:
            error = refused(answer.json()["error"])
        except (ValueError, KeyError, TypeError):
            raise CliError("api.strange", url=self.url, status=answer.status_code) from None
        if answer.status_code == httpx.codes.UNAUTHORIZED and not self._has_key:
            raise CliError("api.no_key", url=self.url)
        raise error


def refused(told: Json) -> CliError:
    """The API's error, in the command line's own words where it has some."""
    message, code, details = told["message"], told["code"], told.get("details") or {}
    key = _OWN_WORDS.get(code, "api.refused")
    return CliError(key, **{"elder": "?", **details, "message": message, "code": code, "details": details})


def events(lines: Iterator[str]) -> Iterator[tuple[str, Json]]:
    """Server-sent events: `event:` and `data:` lines, ended by an empty one; comments are left out."""
    name, data = "message", ""
    for line in lines:
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "data":
            data += value
        elif not line and data:
            yield name, json.loads(data)
            name, data = "message", ""


def _id(text: str) -> str:
    """An id as one segment of a path, whatever is in it."""
    return quote(text, safe="") or "-"


def is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
