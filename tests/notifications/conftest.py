"""Fixtures of the delivery tests."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.ids import uuid7
from apps.notifications.channels.base import Fact, Message
from apps.notifications.domain import planning, sending
from apps.notifications.enums import MessageState, Severity
from tests.peers.receiver import Receiver
from tests.peers.slack import slack
from tests.peers.smtp import Mailbox, mail_server

STARTED_AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
ENDED_AT = datetime(2026, 11, 21, 3, 5, 30, tzinfo=UTC)


@pytest.fixture
def message() -> Message:
    """A message about a failure, with signs that every format must escape."""
    return Message(
        title="api <prod> & friends is down",
        text="Expected status 200,\ngot 503 & <html>",
        severity=Severity.CRITICAL,
        state=MessageState.FIRING,
        facts=(Fact("Check", "api"), Fact("URL", "https://api.example/?a=1&b=2")),
        url="https://obsera.example/t/acme/alerts/1/",
        started_at=STARTED_AT,
        footer="Acme",
        thread="alert:1",
        written_at=STARTED_AT,
    )


@pytest.fixture
def key() -> str:
    return f"alert:{uuid7()}:firing"


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hints given while the test runs, as ``task@queue``; none reaches a broker."""
    given: list[str] = []
    for module in (planning, sending):
        monkeypatch.setattr(module, "hint", lambda task, *args, queue: given.append(f"{task}@{queue}"))
    return given


@pytest.fixture
def slack_server() -> Iterator[Receiver]:
    with slack() as receiver:
        yield receiver


@pytest.fixture
def mailbox(settings: object) -> Iterator[Mailbox]:
    """A real mail server that the product sends through."""
    with mail_server() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # type: ignore[attr-defined]
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port  # type: ignore[attr-defined]
        settings.DEFAULT_FROM_EMAIL = "Obsera <noreply@obsera.example>"  # type: ignore[attr-defined]
        yield box


@pytest.fixture
def query_count() -> Any:
    """Capture the queries of a block."""
    return lambda: CaptureQueriesContext(connection)
