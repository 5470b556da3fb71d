"""Checks and results as JSON."""

from functools import cached_property
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.checks.domain.checks import KEEPS_KIND, require_enough_regions
from apps.checks.domain.promises import promise_of
from apps.checks.domain.queries import outage_confidence
from apps.checks.domain.regions import region_codes, regions_to_choose
from apps.checks.domain.settings import config_of
from apps.checks.domain.tags import MAX_TAGS
from apps.checks.models import MAIN_REGION, Check, Result
from apps.checks.types.registry import CHECK_TYPES
from apps.core.api.serializers import BoundedList, StrictModelSerializer, StrictSerializer
from apps.core.kinds import parse_config, public_config


class RegionCodesField(BoundedList):
    """Regions by their codes."""

    child = serializers.SlugField(max_length=60)

    @cached_property
    def codes(self) -> dict[int, str]:
        """Return the codes by id, read once a list."""
        return region_codes()

    def to_internal_value(self, data: Any) -> list[int]:
        codes = super().to_internal_value(data)
        check = getattr(self.parent, "instance", None)
        kept = check.regions if isinstance(check, Check) else ()  # they may stay while nobody probes there
        known = {region.code: region.id for region in regions_to_choose(kept)}
        unknown = [code for code in codes if code not in known]
        if unknown or not codes:
            raise serializers.ValidationError([REGION_HELP % {"codes": ", ".join(sorted(known))}])
        return list(dict.fromkeys(known[code] for code in codes))

    def to_representation(self, data: list[int]) -> list[str]:
        return [self.codes[region_id] for region_id in data if region_id in self.codes]


REGION_HELP = _("Choose at least one of the regions that probe now: %(codes)s.")


class PatienceSerializer(StrictSerializer):
    """What "at most one false page per …" comes to for a check, by its own history."""

    retries = serializers.IntegerField()
    seconds = serializers.IntegerField(
        help_text=_("From the beginning of an outage's first failure to its page, where each try fails at once.")
    )
    seconds_at_most = serializers.IntegerField(help_text=_("The same where each try hangs until the check's timeout."))
    false_pages = serializers.FloatField(help_text=_("To be expected each period, at most."))
    is_kept = serializers.BooleanField(help_text=_("False: no retries there are can keep it; `says` tells what helps."))
    says = serializers.CharField()


class CheckSerializer(StrictModelSerializer):
    """A check. ``config`` holds the settings of its kind; secret ones come back masked."""

    kind = serializers.ChoiceField(choices=[(kind.kind, kind.label) for kind in CHECK_TYPES])
    kind_label = serializers.SerializerMethodField(help_text=_("The kind's name in the caller's language."))
    kind_icon = serializers.SerializerMethodField(help_text=_("The kind's icon: a name of Tabler's outline icons."))
    config = serializers.DictField()
    tags = BoundedList(child=serializers.CharField(max_length=40), max_length=MAX_TAGS, required=False)
    regions = RegionCodesField(required=False, max_length=20)
    patience = serializers.SerializerMethodField(
        help_text=_("What the goal for false pages comes to; null without one.")
    )
    state = serializers.CharField(source="checkstate.state", read_only=True)
    state_since_at = serializers.DateTimeField(source="checkstate.since_at", read_only=True)
    is_flapping = serializers.BooleanField(source="checkstate.is_flapping", read_only=True)
    confidence_ratio = serializers.SerializerMethodField(
        help_text=_("How sure we are (0 to 1) that its failing is no false alarm; null while no region sees it fail.")
    )
    last_result_at = serializers.DateTimeField(read_only=True, allow_null=True)
    last_ms = serializers.FloatField(read_only=True, allow_null=True)
    last_error = serializers.CharField(read_only=True)

    class Meta:
        model = Check
        fields = (
            *(
                "id",
                "name",
                "key",
                "kind",
                "kind_label",
                "kind_icon",
                "config",
                "target",
                "tags",
                "interval_seconds",
                "timeout_seconds",
                "retries",
            ),
            *(
                "retry_interval_seconds",
                "degraded_ms",
                "recoveries",
                "false_page_period",
                "patience",
                "regions",
                "confirmations",
                "state",
                "state_since_at",
                "is_flapping",
                "confidence_ratio",
                "last_result_at",
                "last_ms",
                "last_error",
            ),
            *("created_at", "updated_at"),
        )
        read_only_fields = ("target", "created_at", "updated_at")

    @extend_schema_field(PatienceSerializer(allow_null=True))
    def get_patience(self, check: Check) -> dict[str, Any] | None:
        promise = promise_of(check)
        return PatienceSerializer(promise).data if promise else None

    def get_confidence_ratio(self, check: Check) -> float | None:
        return outage_confidence(check)

    def get_kind_label(self, check: Check) -> str:
        return str(CHECK_TYPES.get(check.kind).label)

    def get_kind_icon(self, check: Check) -> str:
        return CHECK_TYPES.get(check.kind).icon

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Parse a new check's ``config`` by its kind. What a check becomes that stands is judged by `change_check`: only
        there does nobody else change it any more."""
        check: Check | None = self.instance
        if check is not None:
            if attrs.get("kind", check.kind) != check.kind:
                raise serializers.ValidationError({"kind": [KEEPS_KIND % {"kind": check.kind}]})
            return attrs
        require_enough_regions(attrs.get("confirmations", 1), attrs.get("regions", (MAIN_REGION,)))
        attrs["config"] = parse_config(CHECK_TYPES.get(attrs["kind"]).Config, attrs["config"])
        return attrs

    def to_representation(self, instance: Check) -> dict[str, Any]:
        return {**super().to_representation(instance), "config": public_config(config_of(instance))}


class ResultSerializer(StrictModelSerializer):
    """One result; times in milliseconds."""

    verdict = serializers.CharField(source="get_verdict_display", read_only=True)
    region = serializers.SerializerMethodField()

    class Meta:
        model = Result
        fields = (
            *(
                "due_at",
                "started_at",
                "region",
                "verdict",
                "status_code",
                "dns_ms",
                "connect_ms",
                "tls_ms",
                "first_byte_ms",
            ),
            *("transfer_ms", "total_ms", "body_bytes", "remote_ip", "error_code", "error_values", "details"),
        )
        read_only_fields = fields

    @cached_property
    def codes(self) -> dict[int, str]:
        """Return the regions' codes by id, read once a page."""
        return region_codes()

    def get_region(self, result: Result) -> str:
        return self.codes.get(result.region_id, "")
