"""The account: where the API is, and the key that opens the family's door there.

`heirloom up` keeps both in {data_dir}/client.json (readable by its owner only). A key is sent to the API
that it was kept for and to no other.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from config.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    url: str
    key: str = field(repr=False)

    @property
    def page(self) -> str:
        """The family's page. A fragment stays in the browser: no server and no log sees the key."""
        return f"{self.url}/#key={self.key}"


def find_account(settings: Settings) -> Account:
    """The settings' own, else what `heirloom up` kept; the key may be ""."""
    kept = kept_account(settings.data_dir)
    url = settings.api_url.rstrip("/") or (kept.url if kept else settings.url)
    key = settings.api_key or (kept.key if kept and kept.url == url else "")
    return Account(url=url, key=key)


def kept_account(data_dir: Path) -> Account | None:
    try:
        kept = json.loads(_file(data_dir).read_text(encoding="utf-8"))
        return Account(url=kept["url"], key=kept["api_key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_account(account: Account, data_dir: Path) -> None:
    path = _file(data_dir)
    aside = path.with_suffix(".part")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"url": account.url, "api_key": account.key}, file)
    aside.rename(path)


def _file(data_dir: Path) -> Path:
    return data_dir / "client.json"
