"""Status pages as JSON."""

from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import serializers

from apps.checks.models import Check
from apps.core.api.serializers import ScopedReference, StrictModelSerializer
from apps.statuspages.domain.components import MAX_COMPONENTS, Wanted
from apps.statuspages.formats.addresses import public_url
from apps.statuspages.models import WEB_ADDRESS, Component, StatusPage
from apps.tenants.models.tenant import SLUG

# Counted before it is looked into: each component asks for its check.
CROWD: dict[str, Any] = {"max_length": gettext_lazy("A page shows at most 100 components.")}


class ComponentSerializer(StrictModelSerializer):
    """A component. Give its ``id`` to keep one that the page has; without, it is a new one."""

    id = serializers.UUIDField(required=False)
    check = ScopedReference(model=Check, source="watched")
    name = serializers.CharField(max_length=100, required=False)

    class Meta:
        model = Component
        fields = ("id", "check", "name", "description", "group")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse one that shows nothing: a page changed in part still has its components replaced as a whole."""
        if "watched" not in attrs:
            raise serializers.ValidationError({"check": [self.fields["check"].error_messages["required"]]})
        return attrs


class StatusPageSerializer(StrictModelSerializer):
    """A page. ``components`` are shown in the order given; giving them replaces all that were there."""

    slug = serializers.CharField(max_length=60, validators=[SLUG])  # who has it already only the database knows
    support_url = serializers.URLField(max_length=500, allow_blank=True, required=False, validators=[WEB_ADDRESS])
    components = ComponentSerializer(  # type: ignore[call-arg]  # the list's own options
        many=True, required=False, max_length=MAX_COMPONENTS, error_messages=CROWD
    )
    url = serializers.SerializerMethodField()

    class Meta:
        model = StatusPage
        fields = (
            *("id", "title", "slug", "url", "description", "is_published", "theme", "shows_uptime", "support_url"),
            *("components", "created_at", "updated_at"),
        )
        read_only_fields = ("created_at", "updated_at")

    def get_url(self, page: StatusPage) -> str:
        return public_url(page)

    def validate_components(self, given: list[dict[str, Any]]) -> list[Wanted]:
        """Refuse a check shown twice, and ids that are not this page's."""
        known = {component.id for component in self.instance.components.all()} if self.instance else set()
        if len({entry["watched"].id for entry in given}) < len(given):
            raise serializers.ValidationError(_("A page shows a check only once."))
        ids = [entry["id"] for entry in given if "id" in entry]
        if len(set(ids)) < len(ids) or not known.issuperset(ids):
            raise serializers.ValidationError(
                _("An id here is not one of this page's components, or stands here twice.")
            )
        return [_wanted(entry) for entry in given]


def _wanted(entry: dict[str, Any]) -> Wanted:
    check: Check = entry["watched"]
    component_id: UUID | None = entry.get("id")
    return Wanted(
        check=check,
        name=entry.get("name") or check.name[:100],
        description=entry.get("description", ""),
        group=entry.get("group", ""),
        id=component_id,
    )
