"""Families: making one in the store, and a new key for one. No REST path does either: who can reach the store may.

modelserver.auth is imported where it is used: it brings the whole server, which --help does without.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from adapters.mongo import MongoFamilies, connect, create_indexes
from config.settings import Settings
from kernel.clock import utc_now
from kernel.errors import Unauthorized
from modelserver.cli.account import Account, keep_account, kept_account
from modelserver.cli.stack import Stack, running_stack
from modelserver.cli.words import CliError


def add_family(settings: Settings, name: str) -> str:
    """Returns the new family's API key; only its digest is kept."""
    from modelserver import auth

    database = connect(settings.mongo_url, settings.mongo_database)
    create_indexes(database)
    _, key = auth.add_family(MongoFamilies(database), name, clock=utc_now)
    return key


def revoke_key(settings: Settings, key: str) -> str:
    """The family's new key, kept in the account of this machine where the old one was."""
    from modelserver import auth

    try:
        new = auth.replace_key(MongoFamilies(connect(settings.mongo_url, settings.mongo_database)), key, clock=utc_now)
    except Unauthorized:
        raise CliError("family.unknown_key") from None
    kept = kept_account(settings.data_dir)
    if kept and kept.key == key:
        keep_account(replace(kept, key=new), settings.data_dir)
    return new


def first_family(settings: Settings, name: str) -> Account:
    """The account that this data folder keeps, at the stack's URL now; made if the store knows none."""
    kept = kept_account(settings.data_dir)
    key = settings.api_key or (kept.key if kept else "")
    if not key or not _is_known(settings, key):
        key = add_family(settings, name)
    account = Account(url=settings.url, key=key)
    keep_account(account, settings.data_dir)
    return account


@contextmanager
def open_store(settings: Settings) -> Iterator[Settings]:
    """Settings whose mongo_url answers: the real server's, the running stack's, or one started for this."""
    if settings.mongo_url:
        yield settings
    elif url := running_stack(settings.data_dir).get("mongo_url"):
        yield settings.model_copy(update={"mongo_url": url})
    else:
        with Stack(settings, parts=("mongo",)) as stack:
            yield stack.settings


def _is_known(settings: Settings, key: str) -> bool:
    from modelserver import auth

    database = connect(settings.mongo_url, settings.mongo_database)
    return MongoFamilies(database).tenant_of_key(auth.key_sha256(key)) is not None
