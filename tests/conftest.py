"""What tests of more than one kind use."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest

from adapters.mongo import ping
from kernel.errors import StoreUnavailable


@pytest.fixture(scope="module")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The embedded store, empty, for the tests of one file."""
    program = Path(sys.executable).with_name("secantusd-py")
    assert program.is_file(), "the embedded store is part of the development set-up: make setup"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("mongo")
    process = subprocess.Popen(
        [program, "--port", str(port), "--storage-path", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"mongodb://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(url)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait_until_it_answers(url: str) -> None:
    deadline = time.monotonic() + 30
    with pymongo.MongoClient(url, serverSelectionTimeoutMS=200) as client:
        while time.monotonic() < deadline:
            try:
                ping(client.admin)
                return
            except StoreUnavailable:
                continue
    raise AssertionError("the embedded store did not answer within 30 s")
