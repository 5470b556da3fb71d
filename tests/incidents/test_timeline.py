"""The lines of a timeline as sentences, and who sees them at once."""

import pytest
from django.utils import translation

from apps.checks.enums import State
from apps.incidents.domain import timeline
from apps.incidents.domain.causes import cause_of, remedy_of
from apps.incidents.domain.timeline import EmptyNote, NoteTooLong, sentence, write_entry, write_note
from apps.incidents.enums import EntryKind, Severity
from apps.incidents.events import OutageOpened
from apps.incidents.handlers import show_outage
from apps.incidents.models import Outage, OutageEntry
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.factories.incidents import make_outage

pytestmark = pytest.mark.django_db
NAMES = {"rule": "All", "channels": "Slack", "channel": "Slack", "title": "API is down", "reason": "404"}


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (EntryKind.OPENED, {"error_code": "connect_refused", "error_values": {}}, "The server refused the connection."),
        (EntryKind.OPENED, {}, "It answers, but slower than the check allows."),
        (
            EntryKind.WORSENED,
            {"error_code": "connect_refused", "error_values": {}},
            "The server refused the connection.",
        ),
        (EntryKind.IMPROVED, {}, "It answers, but slower than the check allows."),
        (EntryKind.RESOLVED, {}, ""),
        (EntryKind.LOST_SIGHT, {}, ""),
        (EntryKind.SEEN_AGAIN, {}, ""),
        (EntryKind.UNSEEN, {}, "Nothing is known of it for now. The outage may go on, so it stays open."),
        (
            EntryKind.IN_MAINTENANCE,
            {},
            "What is measured now judges nothing. The outage stays open until the check is well again.",
        ),
        (EntryKind.NOTIFIED, NAMES, "Rule “All” wrote to Slack."),
        (EntryKind.SILENCED, NAMES, "A silence holds back what rule “All” would send."),
        (EntryKind.ACKNOWLEDGED, NAMES, "Rule “All” sends no more reminders."),
        (EntryKind.DELIVERED, NAMES, "“API is down” went through Slack."),
        (EntryKind.NOT_DELIVERED, NAMES, "“API is down” did not go through Slack: 404"),
    ],
)
def test_sentence_of_every_kind(kind: EntryKind, values: dict[str, object], expected: str) -> None:
    with translation.override("en"):
        assert sentence(OutageEntry(kind=kind, values=values)) == expected


def test_note_is_its_own_sentence() -> None:
    assert sentence(OutageEntry(kind=EntryKind.NOTE, text="100 % sure")) == "100 % sure"


@pytest.mark.parametrize(
    ("outage", "severity", "expected"),
    [
        (Outage(severity="down", error_code="connect_refused"), None, "The server refused the connection."),
        (
            Outage(severity="down", error_code="connect_refused"),
            Severity.DEGRADED,
            "It answers, but slower than the check allows.",
        ),
        (Outage(severity="degraded"), None, "It answers, but slower than the check allows."),
        (Outage(severity="down"), None, "The check failed."),
    ],
)
def test_cause(outage: Outage, severity: Severity | None, expected: str) -> None:
    assert cause_of(outage, severity) == expected


def test_remedy_is_known_only_for_errors() -> None:
    known = Outage(severity="down", error_code="connect_refused")

    assert remedy_of(known) == "Check that the service runs and listens on this port."
    assert remedy_of(Outage(severity="degraded")) == ""


@pytest.mark.parametrize(("text", "refusal"), [("", EmptyNote), (" \n", EmptyNote), ("x" * 5_001, NoteTooLong)])
def test_note_is_refused(in_acme: Tenant, text: str, refusal: type[Exception]) -> None:
    outage = make_outage(make_check())

    with pytest.raises(refusal):
        write_note(outage=outage, text=text, author=None)

    assert not OutageEntry.objects.filter(kind=EntryKind.NOTE).exists()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What browsers are told."""
    heard: list[tuple[str, list[str]]] = []
    for module in (timeline.__name__, show_outage.__module__):
        monkeypatch.setattr(f"{module}.publish", lambda topic, ids: heard.append((topic, list(ids))))
    return heard


def test_new_line_is_shown_at_once(in_acme: Tenant, said: list[tuple[str, list[str]]]) -> None:
    outage = make_outage(make_check())

    write_note(outage=outage, text="x", author=None)
    write_entry(outage_id=outage.id, kind=EntryKind.ACKNOWLEDGED, values=NAMES)

    assert said == [(f"tenant:{in_acme.id}", [f"outage:{outage.id}"])] * 2


def test_outages_change_is_shown_at_once(in_acme: Tenant, said: list[tuple[str, list[str]]]) -> None:
    outage = make_outage(make_check(), severity=State.DEGRADED)

    show_outage([OutageOpened(tenant_id=in_acme.id, check_id=outage.watched_id, outage_id=outage.id)])

    assert said == [(f"tenant:{in_acme.id}", [f"outage:{outage.id}", f"check:{outage.watched_id}"])]
