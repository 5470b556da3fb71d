"""What every serializer keeps to: no field is silently ignored, no value silently converted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apps.core import clock

# The JSON types a field takes; DRF alone would turn 1 into "1" and "yes" into true. First match wins.
JSON_TYPES: tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], tuple[type, ...], Promise], ...] = (
    (serializers.BooleanField, (bool,), _("Give true or false.")),
    (serializers.IntegerField, (int,), _("Give a whole number without quotes.")),
    (serializers.FloatField, (int, float), _("Give a number without quotes.")),
    (serializers.CharField, (str,), _("Give a text in quotes.")),
    (serializers.UUIDField, (str,), _("Give a text in quotes.")),
    (serializers.DateTimeField, (str,), _("Give a text in quotes.")),
    (serializers.ChoiceField, (str,), _("Give a text in quotes.")),
    (serializers.PrimaryKeyRelatedField, (str,), _("Give an id in quotes.")),
)
UNKNOWN = _("There is no such field.")
READ_ONLY = _("This field cannot be set.")


def type_complaint(field: serializers.Field[Any, Any, Any, Any], value: Any) -> Promise | None:
    """Return what is wrong with the JSON type of a value, or None."""
    if value is None:
        return None  # DRF itself knows which fields may be null
    for field_class, types, complaint in JSON_TYPES:
        if isinstance(field, field_class):
            is_right = isinstance(value, types) and (bool in types or not isinstance(value, bool))
            return None if is_right else complaint
    return None


class StrictMixin:
    """Refuses unknown fields, read-only fields and wrong JSON types, all at once and by name."""

    def to_internal_value(self, data: Any) -> Any:
        complaints: dict[str, Any] = self._complaints(data) if isinstance(data, Mapping) else {}
        try:
            value = super().to_internal_value(data)  # type: ignore[misc]
        except serializers.ValidationError as error:
            if not isinstance(error.detail, dict):
                raise
            raise serializers.ValidationError({**error.detail, **complaints}) from error
        if complaints:
            raise serializers.ValidationError(complaints)
        return value

    def _complaints(self, data: Mapping[str, Any]) -> dict[str, Any]:
        fields: Mapping[str, serializers.Field[Any, Any, Any, Any]] = self.fields  # type: ignore[attr-defined]
        found: dict[str, Any] = {}
        for name, value in data.items():
            if name not in fields:
                found[name] = [UNKNOWN]
            elif fields[name].read_only:
                found[name] = [READ_ONLY]
            elif complaint := type_complaint(fields[name], value):
                found[name] = [complaint]
        return found


class StrictSerializer(StrictMixin, serializers.Serializer[Any]):
    """A serializer of plain fields."""


class StrictModelSerializer(StrictMixin, serializers.ModelSerializer[Any]):
    """A serializer of a model. References go through the model's scoped manager, so a stranger's id is "does not exist"."""


class InstantField(serializers.DateTimeField):
    """An instant far from where calendars end: the last hours of the year 9999 are beyond it in another time zone."""

    def to_internal_value(self, value: Any) -> datetime:
        instant: datetime = super().to_internal_value(value)
        if instant.year not in clock.YEARS:
            raise serializers.ValidationError([_("Choose a time between the years 1970 and 2200.")])
        return instant


class BoundedList(serializers.ListField):
    """A list that is measured before it is looked into, where each reference is a question to the database; nothing in it
    is silently converted either."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)

    def run_child_validation(self, data: list[Any]) -> list[Any]:
        found = ((place, type_complaint(self.child, value)) for place, value in enumerate(data))
        complaints: dict[Any, Any] = {place: [complaint] for place, complaint in found if complaint}
        if complaints:
            raise serializers.ValidationError(complaints)
        return super().run_child_validation(data)


class ScopedReference(serializers.PrimaryKeyRelatedField[Any]):
    """A reference to a row of the open tenant: ``ScopedReference(model=Check)``. Guarded where it runs, not where it is written."""

    def __init__(self, *, model: type[models.Model], **options: Any) -> None:
        super().__init__(queryset=model._default_manager.all(), pk_field=serializers.UUIDField(), **options)
