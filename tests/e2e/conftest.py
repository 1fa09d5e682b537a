"""A whole stack of real processes, in a folder of its own, sharing only the prepared base models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.mongo import MongoFamilies, connect
from config.settings import ROOT, Settings
from kernel.clock import utc_now
from modelserver.auth import add_family
from modelserver.cli.account import Account
from modelserver.cli.client import Client
from modelserver.cli.port import free_port
from modelserver.cli.stack import Stack

FAMILIES: list["Family"] = []  #: to be closed with the stack


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("e2e")
    models = folder / "models"
    models.mkdir()
    (ROOT / "models" / "base").mkdir(exist_ok=True, parents=True)
    (models / "base").symlink_to(ROOT / "models" / "base")
    return Settings(
        data_dir=folder / "data",
        model_dir=models,
        port=free_port(),
        lease_seconds=5.0,
        sweep_seconds=1.0,
        mongo_url="",
        redis_url="",
        chroma_url="",
        ollama_host="",
        api_url="",
        api_key="",
    )


@pytest.fixture(scope="session")
def stack(settings: Settings) -> Iterator[Stack]:
    with Stack(settings) as stack:
        yield stack
    while FAMILIES:
        FAMILIES.pop().close()


@pytest.fixture(scope="session")
def quick_stack(settings: Settings) -> Iterator[Stack]:
    """Another, whose trainings are small: for what does not depend on how well a model has learnt."""
    few = {
        "SAMPLES__RECALL": "12",
        "SAMPLES__RECALL_WHOLE": "4",
        "SAMPLES__GROUNDED": "4",
        "TRAINING__DPO__MAX_PAIRS": "6",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, count in few.items():
            environment.setenv(f"HEIRLOOM_{name}", count)
        data = settings.data_dir.parent / "quick"
        with Stack(settings.model_copy(update={"data_dir": data, "port": free_port()})) as stack:
            yield stack


class Family(Client):
    """The command line's own client, with what a test asks of it besides."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.key = account.key

    def answer(self, elder: str, question: str) -> dict[str, Any]:
        return next(data for kind, data in self.chat(elder, question, []) if kind == "done")


def new_family(stack: Stack, name: str) -> Family:
    database = connect(stack.settings.mongo_url, stack.settings.mongo_database)
    _, key = add_family(MongoFamilies(database), name, clock=utc_now)
    database.client.close()
    FAMILIES.append(Family(Account(url=stack.url, key=key)))
    return FAMILIES[-1]
