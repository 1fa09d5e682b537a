"""The clock: aware UTC. Passed in wherever time matters, so that tests need not sleep."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)
