"""A language model behind any OpenAI-compatible endpoint: OpenAI, DeepSeek, Ollama, vLLM.

What a reader would get wrong: a 429 may mean "slower" or "no money left", and only the error's code says which;
DeepSeek knows no `json_schema`, so it is told the schema in words and its reply is checked like any other; and a
reply can be cut at `max_tokens`, filtered, or refused under HTTP 200.

An error's reason never holds what was asked or replied.
"""

import json
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import jsonschema
import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter
from tenacity.wait import wait_base

from kernel.errors import TeacherGarbled, TeacherMisconfigured, TeacherRefused, TeacherUnavailable
from kernel.language_model import Reply, Task

_CONNECT_SECONDS = 5.0
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached")
_LONGEST_WAIT = 60.0
_HEAR_SECONDS = 0.5  #: how long a cancel may wait to be heard
_THINKING = 8  #: times the reply's tokens, for a model that reasons before it replies

Pause = Callable[[float], None]


class OpenAiModel:
    """Implements kernel.ports.LanguageModel. Many threads may ask at once."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str,
        model: str,
        timeout_seconds: float = 120.0,
        attempts: int = 5,
        first_wait_seconds: float = 1.0,
        calls_a_minute: int = 0,
    ) -> None:
        """`calls_a_minute` 0: as many as the endpoint takes."""
        self._model = model
        self._url = url
        self._attempts = attempts
        self._first_wait = first_wait_seconds
        self._pace = _Pace(60.0 / calls_a_minute if calls_a_minute else 0.0)
        self._timeout_seconds = timeout_seconds
        self._knows_schemas = True
        self._is_reasoning = False
        self._client = openai.OpenAI(
            base_url=url,
            api_key=api_key or "none",
            max_retries=0,  # ours can be interrupted
            timeout=openai.Timeout(timeout_seconds, connect=_CONNECT_SECONDS),
            # No proxy from the environment: an elder's words go to this host alone.
            http_client=openai.DefaultHttpxClient(trust_env=False, follow_redirects=False),
        )

    @property
    def name(self) -> str:
        """Without what may be secret in the address."""
        return f"{_public(self._url)}/{self._model}"

    def reply(self, task: Task, *, pause: Pause = time.sleep, begin: Callable[[], None] = lambda: None) -> Reply:
        retrying = Retrying(
            retry=retry_if_exception_type((TeacherUnavailable, TeacherGarbled)),
            stop=stop_after_attempt(self._attempts),
            wait=_Wait(self._first_wait),
            sleep=pause,
            reraise=True,
        )
        return retrying(self._ask, task, pause, begin)

    def check(self) -> None:
        """One question of one word. Raises TeacherMisconfigured with what is wrong, TeacherUnavailable."""
        try:
            with _Translated(self._model, self._url):
                completion = self._send([{"role": "user", "content": "Say yes."}], max_tokens=16)
        except TeacherRefused:
            raise TeacherMisconfigured(reason="it does not accept the request (HTTP 400)") from None
        if not isinstance(completion, ChatCompletion) or not completion.choices:
            raise TeacherMisconfigured(reason=f"{_public(self._url)} is not its address; check HEIRLOOM_TEACHER_URL")

    def close(self) -> None:
        self._client.close()

    def _ask(self, task: Task, pause: Pause, begin: Callable[[], None]) -> Reply:
        self._pace.wait(pause)
        begin()
        try:
            with _Translated(self._model, self._url):
                completion = _patiently(lambda: self._create(task), pause, seconds=self._timeout_seconds)
        except TeacherRefused:
            self.check()  # an endpoint that takes nothing at all is not one that refuses this
            raise TeacherRefused(purpose=task.purpose) from None
        return _reply(completion, task)

    def _create(self, task: Task) -> ChatCompletion:
        while True:
            messages: list[Any] = [{"role": one.role, "content": one.content} for one in task.messages]
            form: Any = {"type": "json_object"}
            if self._knows_schemas:
                schema = {"name": task.schema.name, "strict": True, "schema": task.schema.as_json()}
                form = {"type": "json_schema", "json_schema": schema}
            else:
                wanted = json.dumps(task.schema.as_json(), ensure_ascii=False)
                messages.append({"role": "system", "content": f"Reply with one JSON object of this schema: {wanted}"})
            try:
                return self._send(messages, max_tokens=task.max_tokens, response_format=form)
            except openai.BadRequestError as error:
                if not self._knows_schemas or "response_format" not in str(error):
                    raise
                self._knows_schemas = False

    def _send(self, messages: list[Any], *, max_tokens: int, **options: Any) -> ChatCompletion:
        """Models that reason take neither `max_tokens` nor a temperature; which it is, is learnt once."""
        if not self._is_reasoning:
            try:
                return self._client.chat.completions.create(
                    model=self._model, messages=messages, temperature=0, max_tokens=max_tokens, **options
                )
            except openai.BadRequestError as error:
                if error.param not in ("max_tokens", "temperature"):
                    raise
                self._is_reasoning = True
        return self._client.chat.completions.create(
            model=self._model, messages=messages, max_completion_tokens=_THINKING * max_tokens, **options
        )


def _patiently(call: Callable[[], ChatCompletion], pause: Pause, *, seconds: float) -> ChatCompletion:
    """The call, in a thread of its own: a cancel is heard while it lasts, and bytes that only drip do not hold it."""
    done: queue.Queue[tuple[ChatCompletion | None, BaseException | None]] = queue.Queue()

    def work() -> None:
        try:
            done.put((call(), None))
        except BaseException as error:  # raised where it was asked for
            done.put((None, error))

    threading.Thread(target=work, name="teacher", daemon=True).start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            completion, error = done.get(timeout=_HEAR_SECONDS)
        except queue.Empty:
            pause(0.0)
            continue
        if error is not None:
            raise error
        return cast(ChatCompletion, completion)
    raise TeacherUnavailable(reason="it did not reply in time")


def _reply(completion: ChatCompletion, task: Task) -> Reply:
    if not isinstance(completion, ChatCompletion):  # a page, or null, under HTTP 200
        raise TeacherGarbled(reason="a reply that is not in OpenAI's form")
    choices = completion.choices
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Choice) or not isinstance(choice.message, ChatCompletionMessage):
        raise TeacherGarbled(reason="an empty reply")
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise TeacherRefused(purpose=task.purpose)
    if choice.finish_reason == "length":
        raise TeacherGarbled(reason="a reply that was cut off")
    try:
        value = json.loads(choice.message.content or "")
        jsonschema.validate(value, task.schema.as_json())
    except (TypeError, ValueError, RecursionError, jsonschema.ValidationError):
        raise TeacherGarbled(reason="a reply that does not fit") from None
    read, written = (getattr(completion.usage, name, None) for name in ("prompt_tokens", "completion_tokens"))
    return Reply(
        value=value,
        tokens_read=read if isinstance(read, int) else sum(len(one.content) for one in task.messages) // 2,
        tokens_written=written if isinstance(written, int) else len(choice.message.content or "") // 2,
    )


class _Translated:
    """The SDK's errors as ours. `from None`: theirs hold the request's words."""

    def __init__(self, model: str, url: str) -> None:
        self._model, self._url = model, url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, openai.OpenAIError):
            raise self._ours(error) from None
        if isinstance(error, ValueError):  # a body that is not JSON
            raise TeacherGarbled(reason="a reply that is not in OpenAI's form") from None

    def _ours(self, error: openai.OpenAIError) -> Exception:
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return TeacherMisconfigured(reason="its key is not accepted; check HEIRLOOM_TEACHER_KEY")
        if isinstance(error, openai.RateLimitError) and error.code in _NO_MONEY:
            return TeacherMisconfigured(reason="its account has no credit left; what was replied is kept")
        if isinstance(error, openai.NotFoundError):
            if error.code == "model_not_found" or (error.body and "model" in str(error.body).lower()):
                return TeacherMisconfigured(reason=f"it has no model {self._model}; check HEIRLOOM_TEACHER_MODEL")
            return TeacherMisconfigured(reason=f"{_public(self._url)} is not its address; check HEIRLOOM_TEACHER_URL")
        if isinstance(error, openai.APITimeoutError):
            return TeacherUnavailable(reason="it did not reply in time")
        if isinstance(error, openai.APIStatusError):
            if error.status_code == 429:
                return TeacherUnavailable(reason="it is asked too often", wait_seconds=_retry_after(error))
            if error.status_code in (400, 413, 422):  # a filter of what may be said, or too long
                return TeacherRefused(purpose="")
            if error.status_code < 500 and error.status_code not in (408, 409):
                return TeacherMisconfigured(reason=f"it does not accept the request (HTTP {error.status_code})")
            return TeacherUnavailable(reason=f"it failed (HTTP {error.status_code})")
        if isinstance(error, openai.APIConnectionError):
            return TeacherUnavailable(reason=f"{_public(self._url)} cannot be reached")
        return TeacherGarbled(reason="a reply that is not in OpenAI's form")


def _public(url: str) -> str:
    """Host and path: no scheme, name, password or query."""
    parts = urlsplit(url)
    return f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path.rstrip('/')}"


def _retry_after(error: openai.APIStatusError) -> float:
    """Seconds that the endpoint asks for; 0 for none, or for a date."""
    try:
        return max(0.0, min(float(error.response.headers.get("retry-after", "0")), _LONGEST_WAIT))
    except ValueError:
        return 0.0


class _Wait(wait_base):
    """As long as the endpoint asks for; otherwise twice as long each time, with jitter."""

    def __init__(self, first: float) -> None:
        self._doubling = wait_exponential_jitter(multiplier=first, max=_LONGEST_WAIT, jitter=first)

    def __call__(self, retry_state: Any) -> float:
        error = retry_state.outcome.exception()
        asked = error.details.get("wait_seconds", 0.0) if isinstance(error, TeacherUnavailable) else 0.0
        return max(float(asked), self._doubling(retry_state))


class _Pace:
    """At most one call each `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, pause: Pause) -> None:
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._seconds
        if start > now:
            pause(start - now)
