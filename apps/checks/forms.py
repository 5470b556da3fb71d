"""What people may say of a check, validated; nothing is written here."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.checks.domain.agent_refusals import reasons_by_region
from apps.checks.domain.allowance import allowed, allowed_interval
from apps.checks.domain.bulk import BulkAction
from apps.checks.domain.checks import Timing
from apps.checks.domain.promises import promise_of
from apps.checks.domain.regions import regions_to_choose
from apps.checks.domain.tags import clean_tags
from apps.checks.enums import FalsePagePeriod
from apps.checks.models import MAIN_REGION, MAX_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS, Check
from apps.checks.types.base import CheckType
from apps.core.kind_forms import PREFIX, KindForm
from apps.core.kinds import Config

INTERVALS = (10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 21_600, 86_400)


def parse_tags(text: str) -> list[str]:
    """Return the distinct tags of a comma-separated text, in their order."""
    return clean_tags(text.split(","))


class RenameForm(forms.Form):
    """A new name, asked for in the list."""

    name = forms.CharField(label=_("Name"), max_length=150)


class FilterForm(forms.Form):
    """What the list is narrowed to; what is no state or tag finds nothing."""

    text = forms.CharField(required=False)
    state = forms.CharField(required=False)
    tag = forms.CharField(required=False)

    def wanted(self) -> dict[str, str]:
        """Return the filters; text that cannot be in the database filters nothing."""
        self.is_valid()
        return {name: self.cleaned_data.get(name, "") for name in self.fields if name in FilterForm.base_fields}


class IdsField(forms.MultipleChoiceField):
    """Ids of rows, as many as there are; which of them exist is for the query to find out."""

    def validate(self, value: list[str]) -> None:
        try:
            [UUID(each) for each in value]
        except ValueError:
            raise ValidationError(_("This is no id of a check.")) from None

    def clean(self, value: Any) -> list[UUID]:
        return [UUID(each) for each in super().clean(value)]


class BulkForm(FilterForm):
    """One action on the chosen checks, or on all that the list is narrowed to."""

    action = forms.ChoiceField(choices=BulkAction.choices)
    ids = IdsField(required=False)
    everything = forms.BooleanField(required=False)
    tags = forms.CharField(required=False, max_length=1_000)

    def clean_tags(self) -> list[str]:
        return parse_tags(self.cleaned_data["tags"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not cleaned.get("ids") and not cleaned.get("everything"):
            raise ValidationError(_("Choose at least one check."))
        if cleaned.get("action") in (BulkAction.TAG, BulkAction.UNTAG) and cleaned.get("tags") == []:
            raise ValidationError(_("Write a tag first."))
        return cleaned


class FieldGroup:
    """Fields that belong together on screen."""

    def __init__(self, title: str | Promise, fields: list[forms.BoundField], *, is_folded: bool = False) -> None:
        self.title = title
        self.fields = fields
        self.is_folded = is_folded and not any(field.errors for field in fields)


# What only those kinds have that ask somebody.
PATIENCE = ("timeout_seconds", "retries", "retry_interval_seconds", "recoveries", "degraded_ms", "false_page_period")
REGIONS = ("regions", "confirmations")
PROBED_ONLY = ("interval_seconds", *PATIENCE, *REGIONS)


class CheckForm(KindForm[Config]):
    """Create or change a check of one kind; a kind that is not probed is asked for no interval and no patience."""

    name = forms.CharField(label=_("Name"), max_length=150, help_text=_("As your team and your status page call it."))
    interval_seconds = forms.IntegerField(
        label=_("Check every"),
        min_value=MIN_INTERVAL_SECONDS,
        max_value=MAX_INTERVAL_SECONDS,
        initial=60,
        help_text=_("From 10 seconds up to a day."),
    )
    timeout_seconds = forms.IntegerField(
        label=_("Give up after"),
        min_value=1,
        max_value=60,
        initial=10,
        help_text=_("A slower answer counts as failed."),
    )
    retries = forms.IntegerField(
        label=_("Retries"),
        min_value=0,
        max_value=10,
        initial=1,
        help_text=_("So many failures in a row are forgiven before it is down."),
    )
    retry_interval_seconds = forms.IntegerField(label=_("Retry after"), min_value=1, max_value=3_600, initial=5)
    degraded_ms = forms.IntegerField(
        label=_("Degraded above"),
        min_value=1,
        max_value=60_000,
        required=False,
        help_text=_("Empty: however slow, an answer in time is up."),
    )
    recoveries = forms.IntegerField(
        label=_("Recoveries"),
        min_value=1,
        max_value=10,
        initial=1,
        required=False,
        help_text=_("So many good results in a row are needed before it is up again."),
    )
    false_page_period = forms.ChoiceField(
        label=_("At most one false page per"),
        choices=(("", _("no goal: the retries above")), *FalsePagePeriod.choices),
        required=False,
        help_text=_(
            "With a goal, the retries follow from the check's own history, learned anew each hour; at first up to ten."
        ),
    )
    regions = forms.MultipleChoiceField(
        label=_("Regions"),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("Where it is checked from; none chosen leaves them as they are."),
        error_messages={"invalid_choice": _("A chosen region is gone: its agent was deleted. Choose others.")},
    )
    confirmations = forms.IntegerField(
        label=_("Regions that must agree"),
        min_value=1,
        max_value=20,
        initial=1,
        required=False,
        help_text=_("It is down once so many regions see it down; a sick region is left out."),
    )
    tags = forms.CharField(label=_("Tags"), required=False, max_length=1_000, help_text=_("Separated by commas."))

    UNITS = {
        "interval_seconds": _("seconds"),
        "timeout_seconds": _("seconds"),
        "retry_interval_seconds": _("seconds"),
        "degraded_ms": _("ms"),
    }

    def __init__(self, *args: Any, kind: CheckType, check: Check | None = None, **kwargs: Any) -> None:
        if check:
            initial = {name: getattr(check, name) for name in ("name", *Timing.__slots__)}
            kwargs["initial"] = {**initial, "tags": ", ".join(check.tags), **kwargs.get("initial", {})}
        initial = kwargs.setdefault("initial", {})
        initial.setdefault("regions", [MAIN_REGION])
        initial["interval_seconds"] = allowed_interval(initial.get("interval_seconds", Timing().interval_seconds))
        super().__init__(*args, config_class=kind.Config, **kwargs)
        if check:
            usual = {**asdict(Timing()), "regions": [MAIN_REGION]}
            self._chosen |= {name for name, value in usual.items() if getattr(check, name) != value}
        kept = check.regions if check else []
        places = regions_to_choose(kept)
        reasons = reasons_by_region(kind, check, [place.agent for place in places if place.agent])
        self.fields["regions"].choices = [  # type: ignore[attr-defined]
            (place.id, f"{place} ({reasons[place.id]})" if place.id in reasons else str(place)) for place in places
        ]
        for name, unit in self.UNITS.items():
            self.fields[name].unit = unit  # type: ignore[attr-defined]  # read by components/form_field.html
        self._tell_plan()
        self._tell_promise(check)
        if not kind.is_probed:
            for name in PROBED_ONLY:
                del self.fields[name]

    def _tell_plan(self) -> None:
        """Name the plan's limits where people choose; the domain refuses what is beyond them."""
        plan = allowed()
        if plan.min_interval_seconds > MIN_INTERVAL_SECONDS:
            text = _("Your plan allows from %(seconds)s seconds up to a day.")
            self.fields["interval_seconds"].help_text = text % {"seconds": plan.min_interval_seconds}
        if plan.regions_per_check is not None and plan.regions_per_check < len(self.fields["regions"].choices):  # type: ignore[attr-defined]
            text = _("Your plan allows so many at once: %(most)s.")
            self.fields["regions"].help_text = text % {"most": plan.regions_per_check}

    def _tell_promise(self, check: Check | None) -> None:
        """Say what the goal comes to for this check, where it is chosen."""
        if check and (promise := promise_of(check)):
            self.fields["false_page_period"].help_text = promise.says

    def clean_tags(self) -> list[str]:
        return parse_tags(self.cleaned_data["tags"])

    def timing(self) -> dict[str, Any]:
        """Return the validated timing, as far as it was asked for."""
        return {name: self.cleaned_data[name] for name in Timing.__slots__ if name in self.fields}

    def clean_recoveries(self) -> int:
        return self.cleaned_data["recoveries"] or 1

    def clean_regions(self) -> tuple[int, ...]:
        chosen = self.cleaned_data["regions"] or self.initial["regions"]
        return tuple(int(region_id) for region_id in chosen)

    def clean_confirmations(self) -> int:
        wanted = self.cleaned_data["confirmations"] or 1
        if wanted > len(self.cleaned_data.get("regions", ())):
            raise ValidationError(_("There are fewer regions than that."))
        return int(wanted)

    @property
    def groups(self) -> list[FieldGroup]:
        """Return the fields as the page shows them: what everyone fills in first, the rest folded."""
        settings = [self[name] for name in self.fields if name.startswith(PREFIX)]
        required = [field for field in settings if field.field.required]
        optional = [field for field in settings if not field.field.required]
        patience, regions = self._shown(*PATIENCE), self._shown(*REGIONS)
        groups = [
            FieldGroup(_("What to watch"), [*required, *self._shown("name", "interval_seconds", "tags")]),
            *self._sections(optional, is_folded=bool(required)),
            FieldGroup(_("Patience"), patience, is_folded=not self._is_chosen(patience)),
            FieldGroup(_("Regions"), regions, is_folded=not self._is_chosen(regions)),
        ]
        return [group for group in groups if group.fields]

    def _is_chosen(self, group: list[forms.BoundField]) -> bool:
        """Tell whether the check has one of these otherwise than a new one: then people look for it."""
        return any(field.name in self._chosen for field in group)

    def _sections(self, settings: list[forms.BoundField], *, is_folded: bool) -> list[FieldGroup]:
        """Return optional settings under the titles that their kind gives them, in the order of their first; from the start
        that one may be open, and what the check says something in."""
        sections: dict[str, list[forms.BoundField]] = {}
        for field in settings:
            title = str(getattr(field.field, "section", "") or _("Request and expectations"))
            sections.setdefault(title, []).append(field)
        groups = enumerate(sections.items())
        return [
            FieldGroup(title, fields, is_folded=(is_folded or place > 0) and not self._is_chosen(fields))
            for place, (title, fields) in groups
        ]

    def _shown(self, *names: str) -> list[forms.BoundField]:
        return [self[name] for name in names if name in self.fields]
