"""Outages as JSON."""

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apps.checks.domain.tags import MAX_TAGS
from apps.checks.models import Check
from apps.core.api.serializers import BoundedList, ScopedReference, StrictSerializer
from apps.incidents.domain.causes import cause_of
from apps.incidents.domain.maintenance import next_of
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.domain.queries import OutageFilter
from apps.incidents.domain.timeline import sentence
from apps.incidents.enums import Repeat, Severity
from apps.incidents.models import MAX_NOTE_LENGTH, MaintenanceWindow, Outage, OutageEntry

MAX_CHECKS = 1_000


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


class WindowSerializer(StrictSerializer):
    """A maintenance window. It covers every check, or those named and those with one of the tags.

    A named group covers all that belongs to it, groups within it too.

    ``once`` needs ``starts_at``; ``weekly`` ``weekdays`` and ``time_of_day``; ``cron`` its expression. Times of the day are
    read on the wall clock of ``time_zone``.
    """

    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField(max_length=150)
    description = serializers.CharField(max_length=2_000, required=False, allow_blank=True, default="")
    repeat = serializers.ChoiceField(choices=Repeat.choices)
    time_zone = serializers.CharField(max_length=64, help_text=_("Such as Europe/Berlin."))
    duration_minutes = serializers.IntegerField(min_value=1, max_value=7 * 24 * 60)
    starts_at = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text=_("Of a repeated one: nothing begins earlier.")
    )
    repeats_until_at = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text=_("Nothing begins from then on.")
    )
    weekdays = BoundedList(
        child=serializers.IntegerField(min_value=0, max_value=6),
        max_length=7,
        required=False,
        default=list,
        help_text=_("0 is Monday."),
    )
    time_of_day = serializers.TimeField(required=False, allow_null=True, default=None)
    cron = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")
    covers_all = serializers.BooleanField(required=False, default=False)
    tags = BoundedList(child=serializers.CharField(max_length=40), max_length=MAX_TAGS, required=False, default=list)
    check_ids = BoundedList(
        child=ScopedReference(model=Check),
        max_length=MAX_CHECKS,
        required=False,
        default=list,
        help_text=_("A group covers all that belongs to it, groups within it too."),
    )
    is_public = serializers.BooleanField(required=False, default=True)
    is_running = serializers.BooleanField(read_only=True)
    upcoming = serializers.ListField(
        child=serializers.ListField(child=serializers.DateTimeField()),
        read_only=True,
        help_text=_("The next five begins and ends, one that runs now included."),
    )

    def settings(self) -> WindowSettings:
        """Return the validated settings."""
        given = dict(self.validated_data)
        given["repeat"] = Repeat(given["repeat"])
        given["duration"] = timedelta(minutes=given.pop("duration_minutes"))
        given["checks"] = given.pop("check_ids")
        return WindowSettings(**given)

    def to_representation(self, instance: MaintenanceWindow) -> dict[str, Any]:
        instant = serializers.DateTimeField().to_representation
        plain = ("name", "description", "repeat", "time_zone", "weekdays", "cron", "covers_all", "tags", "is_public")
        return {
            "id": str(instance.id),
            **{name: getattr(instance, name) for name in plain},
            "duration_minutes": int(instance.duration.total_seconds() // 60),
            "starts_at": instant(instance.starts_at) if instance.starts_at else None,
            "repeats_until_at": instant(instance.repeats_until_at) if instance.repeats_until_at else None,
            "time_of_day": f"{instance.time_of_day:%H:%M:%S}" if instance.time_of_day else None,
            "check_ids": sorted(str(check.id) for check in instance.checks.all()),
            "is_running": instance.is_running,
            "upcoming": [[instant(one.starts_at), instant(one.ends_at)] for one in next_of(instance, count=5)],
        }
