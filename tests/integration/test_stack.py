"""The embedded stores as local processes: they start, keep what they were given, leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pymongo
import pytest
import redis

from config.settings import ROOT, Settings
from modelserver.cli.part import redis_answers
from modelserver.cli.stack import Stack, running_stack, settings_environment
from modelserver.cli.words import CliError

pytestmark = pytest.mark.integration

STORES = ("mongo", "redis", "chroma")
_PROGRAM = """
import sys, threading
from modelserver.cli.commands.stack import ended_by_signals
from modelserver.cli.stack import Stack
from config.settings import Settings

try:
    with ended_by_signals(), Stack(Settings(), parts=("mongo", "redis", "chroma")):
        print("up", flush=True)
        threading.Event().wait()
except KeyboardInterrupt:
    pass
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", mongo_url="", redis_url="", chroma_url="")


@pytest.fixture
def parent(settings: Settings) -> Iterator["subprocess.Popen[str]"]:
    """The stack in a process of its own, as `heirloom up` is."""
    process = _start_parent(settings)
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_what_was_written_survives_kill_9_of_every_process(settings: Settings) -> None:
    with Stack(settings, parts=STORES) as stack:
        _write(stack.settings, "before")
        for pid in stack.pids.values():
            os.kill(pid, signal.SIGKILL)
        _eventually(lambda: redis_answers(stack.settings.redis_url))
        assert _read(stack.settings) == ("before", "before")


def test_what_was_written_is_there_after_a_restart(settings: Settings) -> None:
    with Stack(settings, parts=STORES) as stack:
        _write(stack.settings, "before")
    with Stack(settings, parts=STORES) as stack:
        assert _read(stack.settings) == ("before", "before")


def test_a_process_that_dies_is_started_again_where_it_was(settings: Settings) -> None:
    told: list[str] = []
    with Stack(settings, parts=["redis"], say=lambda key, **_: told.append(key)) as stack:
        first = stack.pids["redis"]
        os.kill(first, signal.SIGKILL)
        _eventually(lambda: stack.pids["redis"] != first and redis_answers(stack.settings.redis_url))
    assert told == ["stack.started", "stack.lost", "stack.restarted"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_parent_leaves_nothing_behind(
    parent: "subprocess.Popen[str]", settings: Settings, number: signal.Signals
) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("run under nohup: the stack ignores what its parent ignores")
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(number)
    assert parent.wait(timeout=20) == 0
    assert len(children) >= len(STORES)
    assert not [child for child in children if child.is_running()]
    assert running_stack(settings.data_dir) == {}


def test_a_parent_killed_by_sigkill_leaves_nothing_behind(parent: "subprocess.Popen[str]", settings: Settings) -> None:
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait(timeout=20)  # its threads end one by one: the one that ties the children may be before the last
    _eventually(lambda: not [child for child in children if _lives(child)])
    with Stack(settings, parts=STORES):
        pass


def test_a_second_stack_on_one_folder_refuses(settings: Settings) -> None:
    with Stack(settings, parts=["redis"]), pytest.raises(CliError) as refusal:
        Stack(settings, parts=["redis"]).__enter__()
    assert refusal.value.key == "stack.locked"


def test_a_store_that_cannot_start_is_named_with_its_last_words(settings: Settings) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "redis").mkdir()
    (settings.data_dir / "redis" / "appendonlydir").write_text("in the way")
    (settings.data_dir / "redis" / "appendonly.aof").write_bytes(b"not a log of commands")
    with pytest.raises(CliError) as refusal:
        Stack(settings, parts=["mongo", "redis"]).__enter__()
    assert refusal.value.key == "stack.died"
    assert refusal.value.values["part"] == "redis"
    assert running_stack(settings.data_dir) == {}


def test_what_the_settings_point_elsewhere_is_not_started(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"mongo_url": "mongodb://db.example/", "chroma_url": "http://vectors"})
    with Stack(elsewhere, parts=STORES) as stack:
        assert set(stack.pids) == {"redis"}
        assert stack.settings.mongo_url == "mongodb://db.example/"


def test_nobody_else_on_this_machine_may_read_the_stores_files_or_use_redis(settings: Settings) -> None:
    with Stack(settings, parts=STORES) as stack:
        folders = [stack.settings.data_dir / name for name in (".", *STORES, "run")]
        assert [oct(folder.stat().st_mode & 0o077) for folder in folders] == ["0o0"] * len(folders)
        port = stack.settings.redis_url.rpartition(":")[2].removesuffix("/0")
        with redis.Redis(port=int(port)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def _start_parent(settings: Settings) -> "subprocess.Popen[str]":
    environment = {**os.environ, **settings_environment(settings), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def _write(settings: Settings, text: str) -> None:
    with pymongo.MongoClient(settings.mongo_url) as mongo:
        mongo.test.words.insert_one({"_id": 1, "text": text})
    with redis.Redis.from_url(settings.redis_url) as client:
        client.rpush("words", text)


def _read(settings: Settings) -> tuple[str, str]:
    with pymongo.MongoClient(settings.mongo_url) as mongo, redis.Redis.from_url(settings.redis_url) as client:
        row = mongo.test.words.find_one({"_id": 1})
        return row["text"] if row else "", client.lindex("words", 0).decode()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _eventually(is_so: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
