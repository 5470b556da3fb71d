"""Fixtures of the delivery tests."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.core.ids import uuid7
from apps.notifications.channels.base import Fact, Message
from apps.notifications.channels.webhook import WebhookConfig
from apps.notifications.domain import planning, sending
from apps.notifications.domain.channels import Draft, create_channel
from apps.notifications.domain.planning import plan_delivery
from apps.notifications.enums import MessageState, Severity
from apps.notifications.models import Channel, Delivery
from apps.tenants.models import Tenant
from tests.peers.receiver import Receiver, listening
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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that says yes until its ``script`` is replaced."""
    with listening() as made:
        yield made


@pytest.fixture
def channel(in_acme: Tenant, hints: list[str], receiver: Receiver) -> Channel:
    return make_channel("Ops", receiver)


def make_channel(name: str, receiver: Receiver) -> Channel:
    return create_channel(kind="webhook", draft=Draft(name=name, config=WebhookConfig(url=receiver.url())))


def plan(channel: Channel, *keys: str) -> list[Delivery]:
    message = Message(title="api is down")
    return [plan_delivery(channel=channel, message=message, key=key) for key in keys]


def keys_of(receiver: Receiver) -> list[str]:
    return [heard.headers["webhook-id"] for heard in receiver.heard]


def waits_for(delivery: Delivery) -> float:
    delivery.refresh_from_db()
    return (delivery.claimable_at - clock.now()).total_seconds()
