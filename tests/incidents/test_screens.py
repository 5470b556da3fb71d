"""Pages of outages."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.enums import State
from apps.core.tenancy import tenant_scope
from apps.incidents.enums import EntryKind
from apps.incidents.models import Outage, OutageEntry
from apps.tenants.enums import Role
from apps.tenants.models import Membership, Tenant
from tests.factories import make_member
from tests.factories.checks import make_check
from tests.factories.incidents import make_outage, minute
from tests.queries import queries_of


@pytest.fixture
def signed_in(client: Client, acme: Tenant, owner: object) -> Client:
    client.force_login(owner)
    return client


def address(tenant: Tenant, name: str, *args: object) -> str:
    return reverse(f"incidents:{name}", args=[tenant.slug, *args])


def fill(tenant: Tenant) -> dict[str, Outage]:
    """One outage of each sort, oldest first."""
    with tenant_scope(tenant.id):
        return {
            "Old": make_outage(make_check("Old"), at=minute(-200_000), ended_at=minute(-199_990)),
            "Open": make_outage(make_check("Open"), at=minute(-5)),
            "Slow": make_outage(make_check("Slow"), severity=State.DEGRADED, at=minute(-3), ended_at=minute(-2)),
        }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Open", "Slow", "Old"]),
        ("?state=open", ["Open"]),
        ("?state=resolved", ["Slow", "Old"]),
        ("?severity=degraded", ["Slow"]),
        ("?q=sLO", ["Slow"]),
        ("?period=7", ["Open", "Slow"]),
        ("?state=broken&check=no-id&period=x", ["Open", "Slow", "Old"]),
        ("?page=99", ["Open", "Slow", "Old"]),
        ("?q=nothing", []),
    ],
)
def test_list_shows_open_ones_first_and_filters(
    signed_in: Client, acme: Tenant, query: str, names: list[str], hand: object
) -> None:
    fill(acme)

    shown = signed_in.get(address(acme, "list") + query)

    assert [outage.watched.name for outage, _cause, _culprit in shown.context["rows"]] == names


def test_list_of_one_check(signed_in: Client, acme: Tenant) -> None:
    outages = fill(acme)

    shown = signed_in.get(address(acme, "list"), {"check": outages["Slow"].watched_id})

    assert [outage.id for outage, _cause, _culprit in shown.context["rows"]] == [outages["Slow"].id]
    assert "Only those of Slow." in shown.content.decode()


def test_list_and_detail_ask_as_much_for_three_rows_as_for_one(signed_in: Client, acme: Tenant) -> None:
    counts: list[list[int]] = []
    with tenant_scope(acme.id):
        first = make_outage(make_check("Check 0"))
    pages = (address(acme, "list"), address(acme, "detail", first.id))

    counts.append([queries_of(lambda page=page: signed_in.get(page)) for page in pages])
    with tenant_scope(acme.id):
        for number in (1, 2):
            make_outage(make_check(f"Check {number}"))
            OutageEntry.objects.create(
                outage=first, kind=EntryKind.NOTE, text=f"Note {number}", author=first_owner(acme)
            )
    counts.append([queries_of(lambda page=page: signed_in.get(page)) for page in pages])

    assert counts[0] == counts[1]
    assert max(counts[0]) < 20


def first_owner(tenant: Tenant) -> User:
    return Membership.objects.select_related("user").get(tenant=tenant).user


def test_detail_says_what_happened_and_why(signed_in: Client, acme: Tenant) -> None:
    outage = fill(acme)["Open"]

    shown = signed_in.get(address(acme, "detail", outage.id))

    assert shown.context["cause"] == "The server refused the connection."
    assert shown.context["remedy"] == "Check that the service runs and listens on this port."
    entries = [(entry.kind, text) for entry, text in shown.context["entries"]]
    assert entries == [(EntryKind.OPENED, "The server refused the connection.")]
    assert "Open is down" in shown.content.decode()


def test_note_goes_on_the_timeline(signed_in: Client, acme: Tenant, owner: object) -> None:
    outage = fill(acme)["Open"]

    answer = signed_in.post(address(acme, "write_note", outage.id), {"text": "  Disk was full. "})

    assert (answer.status_code, answer["Location"]) == (302, address(acme, "detail", outage.id))
    with tenant_scope(acme.id):
        note = OutageEntry.objects.get(kind=EntryKind.NOTE)
    assert (note.text, note.author_id, note.outage_id) == ("Disk was full.", owner.id, outage.id)


@pytest.mark.parametrize("text", ["", "   ", "x" * 5_001])
def test_note_that_says_nothing_or_too_much_is_refused(signed_in: Client, acme: Tenant, text: str) -> None:
    outage = fill(acme)["Open"]

    answer = signed_in.post(address(acme, "write_note", outage.id), {"text": text})

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["text"])
    with tenant_scope(acme.id):
        assert not OutageEntry.objects.filter(kind=EntryKind.NOTE).exists()


def test_viewer_reads_but_writes_no_notes(client: Client, acme: Tenant) -> None:
    outage = fill(acme)["Open"]
    client.force_login(make_member(acme, "vera@acme.example", Role.VIEWER))

    codes = [
        client.get(address(acme, "detail", outage.id)).status_code,
        client.post(address(acme, "write_note", outage.id), {"text": "x"}).status_code,
    ]

    assert codes == [200, 403]
