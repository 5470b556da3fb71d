"""Writing lines of an outage's timeline, and saying them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.core import clock
from apps.core.postgres.inserting import insert_rows
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id
from apps.incidents.domain.causes import SLOW, cause
from apps.incidents.enums import EntryKind
from apps.incidents.models import MAX_NOTE_LENGTH, Outage, OutageEntry
from apps.live.domain.publish import publish


class EmptyNote(Refusal):
    """A note says something."""

    message = _("Write something first.")
    field = "text"


class NoteTooLong(Refusal):
    """A note is a note."""

    message = _("A note has at most 5,000 characters.")
    field = "text"


def write_note(*, outage: Outage, text: str, author: User | None) -> OutageEntry:
    """Add a person's (or, with a key, a program's) note."""
    text = text.strip()
    if not text:
        raise EmptyNote
    if len(text) > MAX_NOTE_LENGTH:
        raise NoteTooLong
    return _write(outage.id, EntryKind.NOTE, text=text, author=author)


@dataclass(frozen=True, slots=True)
class Line:
    """What a higher app did about an outage; ``values`` fill the kind's sentence in `SENTENCES`."""

    outage_id: UUID
    kind: EntryKind
    values: dict[str, Any]


def write_entry(*, outage_id: UUID, kind: EntryKind, values: dict[str, Any], author: User | None = None) -> OutageEntry:
    """Add what a higher app did about the outage, and who."""
    return _write(outage_id, kind, values=values, author=author)


def write_entries(lines: Sequence[Line]) -> None:
    """Add lines to any number of outages at once."""
    now = clock.now()
    rows = [{"outage_id": line.outage_id, "at": now, "kind": line.kind, "values": line.values} for line in lines]
    insert_rows(OutageEntry, rows)
    publish(f"tenant:{current_tenant_id()}", {f"outage:{line.outage_id}" for line in lines})


def _write(outage_id: UUID, kind: EntryKind, **fields: Any) -> OutageEntry:
    entry: OutageEntry = OutageEntry.objects.create(outage_id=outage_id, at=clock.now(), kind=kind, **fields)
    publish(f"tenant:{current_tenant_id()}", [f"outage:{outage_id}"])
    return entry


SENTENCES = {
    EntryKind.UNSEEN: _("Nothing is known of it for now. The outage may go on, so it stays open."),
    EntryKind.IN_MAINTENANCE: _(
        "What is measured now judges nothing. The outage stays open until the check is well again."
    ),
    EntryKind.NOTIFIED: _("Rule “%(rule)s” wrote to %(channels)s."),
    EntryKind.SILENCED: _("A silence holds back what rule “%(rule)s” would send."),
    EntryKind.ACKNOWLEDGED: _("Rule “%(rule)s” sends no more reminders."),
    EntryKind.DELIVERED: _("“%(title)s” went through %(channel)s."),
    EntryKind.NOT_DELIVERED: _("“%(title)s” did not go through %(channel)s: %(reason)s"),
}


def sentence(entry: OutageEntry) -> str:
    """Return what the line says below its title, in the active language."""
    kind = EntryKind(entry.kind)
    if kind == EntryKind.NOTE:
        return str(entry.text)
    if kind in SENTENCES:
        # A delivery's reason is stored in English, as the worker knows it.
        return str(SENTENCES[kind]) % {**entry.values, "reason": gettext(entry.values.get("reason", ""))}
    if kind in (EntryKind.OPENED, EntryKind.IMPROVED) and not entry.values:
        return str(SLOW)
    return cause(entry.values.get("error_code", ""), entry.values.get("error_values", {}))
