"""Outages as JSON."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apps.core.api.serializers import StrictSerializer
from apps.incidents.domain.causes import cause_of
from apps.incidents.domain.queries import OutageFilter
from apps.incidents.domain.timeline import sentence
from apps.incidents.enums import Severity
from apps.incidents.models import MAX_NOTE_LENGTH, Outage, OutageEntry


class OutageSerializer(serializers.ModelSerializer[Outage]):
    """An outage. ``severity`` is the worst it has been."""

    check_id = serializers.UUIDField(source="watched_id", read_only=True)
    check_name = serializers.CharField(source="watched.name", read_only=True)
    state = serializers.ChoiceField(choices=("open", "resolved"), read_only=True)
    cause = serializers.SerializerMethodField()

    class Meta:
        model = Outage
        fields = (
            "id",
            "check_id",
            "check_name",
            "state",
            "severity",
            "started_at",
            "ended_at",
            "error_code",
            "error_values",
            "cause",
        )
        read_only_fields = fields

    def get_cause(self, outage: Outage) -> str:
        return cause_of(outage)


class EntrySerializer(serializers.ModelSerializer[OutageEntry]):
    """A line of the timeline."""

    text = serializers.SerializerMethodField()
    author = serializers.SerializerMethodField()

    class Meta:
        model = OutageEntry
        fields = ("id", "at", "kind", "text", "author", "values")
        read_only_fields = fields

    def get_text(self, entry: OutageEntry) -> str:
        return sentence(entry)

    def get_author(self, entry: OutageEntry) -> str | None:
        return str(entry.author) if entry.author else None


class NoteSerializer(StrictSerializer):
    """A note to be written."""

    text = serializers.CharField(max_length=MAX_NOTE_LENGTH)


class OutageFilterSerializer(serializers.Serializer[Any]):
    """The list's query parameters."""

    state = serializers.ChoiceField(choices=("open", "resolved"), required=False)
    severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    check = serializers.UUIDField(required=False, help_text=_("The check's id."))
    since = serializers.DateTimeField(required=False, help_text=_("Not over before then."))
    until = serializers.DateTimeField(required=False, help_text=_("Begun before then."))

    def wanted(self) -> OutageFilter:
        """Return the valid filters."""
        given = self.validated_data
        return OutageFilter(
            is_open={"open": True, "resolved": False}.get(given.get("state", "")),
            severity=given.get("severity", ""),
            check_id=given.get("check"),
            since_at=given.get("since"),
            until_at=given.get("until"),
        )
