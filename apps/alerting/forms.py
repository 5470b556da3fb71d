"""What people may say of rules and silences, and ask about alerts; nothing is written here."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.alerting.domain.messages import spoken_duration
from apps.alerting.domain.queries import AlertFilter
from apps.alerting.domain.rules import RuleSettings
from apps.alerting.enums import AlertState
from apps.alerting.models import DEFAULT_REPEAT_INTERVAL, AlertRule
from apps.checks.forms import parse_tags
from apps.checks.models import Check
from apps.core import clock
from apps.incidents.enums import Severity
from apps.notifications.models import Channel

STATES = (("", _("Any state")), ("open", _("Not resolved")), *AlertState.choices)
SEVERITIES = (("", _("Any severity")), *Severity.choices)


class AlertFilterForm(forms.Form):
    """The list's filters. What makes no sense is left out rather than refused: the address may be an old bookmark."""

    q = forms.CharField(required=False, max_length=150)
    state = forms.ChoiceField(required=False, choices=STATES, label=_("State"))
    severity = forms.ChoiceField(required=False, choices=SEVERITIES, label=_("Severity"))
    check = forms.UUIDField(required=False)
    rule = forms.UUIDField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("state", "severity"):
            self.fields[name].widget.attrs.update({"class": "form-select", "aria-label": self.fields[name].label})
        self.full_clean()

    def wanted(self) -> AlertFilter:
        """Return the valid filters."""
        given = self.cleaned_data
        return AlertFilter(
            text=given.get("q", ""),
            state=given.get("state", ""),
            severity=given.get("severity", ""),
            check_id=given.get("check"),
            rule_id=given.get("rule"),
        )


def minute_choices(*lengths: timedelta) -> list[tuple[int, str | Promise]]:
    """Return lengths of time as choices, their values in minutes."""
    return [(int(length.total_seconds() // 60), spoken_duration(length)) for length in lengths]


REMINDERS = (
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
    DEFAULT_REPEAT_INTERVAL,
    timedelta(hours=12),
    timedelta(days=1),
)


class RuleForm(forms.Form):
    """Make or change an alert rule."""

    name = forms.CharField(label=_("Name"), max_length=100)
    severities = forms.MultipleChoiceField(
        label=_("Tell when a check is"),
        choices=Severity.choices,
        initial=Severity.values,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one.")},
    )
    tags = forms.CharField(
        label=_("Only checks with one of these tags"),
        required=False,
        max_length=1_000,
        help_text=_("Separated by commas. Empty: every check."),
    )
    channels = forms.ModelMultipleChoiceField(
        label=_("Write to"),
        queryset=Channel.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: every default channel, also those added later."),
    )
    repeat_minutes = forms.TypedChoiceField(
        label=_("Remind every"),
        required=False,
        coerce=int,
        empty_value=None,
        help_text=_("Until someone acknowledges."),
    )
    notifies_on_resolve = forms.BooleanField(label=_("Also say when it is over"), required=False, initial=True)

    def __init__(self, *args: Any, rule: AlertRule | None = None, **kwargs: Any) -> None:
        self.rule = rule
        super().__init__(*args, **{**kwargs, "initial": _initial(rule)})
        own = {rule.repeat_interval} if rule and rule.repeat_interval else set()
        reminders: Sequence[tuple[Any, Any]] = [("", _("Never")), *minute_choices(*sorted({*REMINDERS, *own}))]
        self.fields["repeat_minutes"].choices = reminders  # type: ignore[attr-defined]
        self.fields["channels"].queryset = Channel.objects.order_by("name")  # type: ignore[attr-defined]

    def clean_tags(self) -> list[str]:
        return parse_tags(self.cleaned_data["tags"])

    def clean_name(self) -> str:
        """Refuse a name that another rule has; the database refuses what comes in between."""
        name: str = self.cleaned_data["name"]
        others = AlertRule.objects.filter(name=name)
        if (others.exclude(id=self.rule.id) if self.rule else others).exists():
            raise ValidationError(_("Another rule has this name."))
        return name

    def settings(self) -> RuleSettings:
        """Return the validated settings; whether the rule is on stays as it is."""
        given = self.cleaned_data
        minutes = given["repeat_minutes"]
        return RuleSettings(
            name=given["name"],
            is_enabled=self.rule.is_enabled if self.rule else True,
            severities=given["severities"],
            tags=given["tags"],
            channels=list(given["channels"]),
            notifies_on_resolve=given["notifies_on_resolve"],
            repeat_interval=timedelta(minutes=minutes) if minutes else None,
        )


def _initial(rule: AlertRule | None) -> dict[str, Any]:
    if rule is None:
        return {"repeat_minutes": int(DEFAULT_REPEAT_INTERVAL.total_seconds() // 60)}
    return {
        "name": rule.name,
        "severities": rule.severities,
        "tags": ", ".join(rule.tags),
        "channels": [channel.id for channel in rule.channels.all()],
        "repeat_minutes": int(rule.repeat_interval.total_seconds() // 60) if rule.repeat_interval else "",
        "notifies_on_resolve": rule.notifies_on_resolve,
    }


DURATIONS = (
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=7),
)
UNTIL = "until"


class SilenceForm(forms.Form):
    """Ask for quiet."""

    check = forms.ModelChoiceField(
        label=_("Check"), queryset=Check.objects.none(), required=False, empty_label=_("Every check")
    )
    tags = forms.CharField(
        label=_("Only checks with one of these tags"),
        required=False,
        max_length=1_000,
        help_text=_("Separated by commas."),
    )
    duration = forms.ChoiceField(label=_("For"))
    until = forms.DateTimeField(
        label=_("Until"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=_("Only for “Until a certain time”."),
    )
    reason = forms.CharField(label=_("Reason"), required=False, max_length=300, help_text=_("Your colleagues read it."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["check"].queryset = Check.objects.order_by("name")  # type: ignore[attr-defined]
        choices: Sequence[tuple[Any, Any]] = [*minute_choices(*DURATIONS), (UNTIL, _("Until a certain time"))]
        self.fields["duration"].choices = choices  # type: ignore[attr-defined]

    def clean_tags(self) -> list[str]:
        return parse_tags(self.cleaned_data["tags"])

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("duration") == UNTIL and not self.errors.get("until"):
            until = given.get("until")
            if until is None:
                self.add_error("until", _("Say until when."))
            elif until <= clock.now():
                self.add_error("until", _("This is in the past."))
        return given

    def ends_at(self) -> datetime:
        """Return the end of the validated silence."""
        given = self.cleaned_data
        if given["duration"] == UNTIL:
            until: datetime = given["until"]
            return until
        return clock.now() + timedelta(minutes=int(given["duration"]))


class QuickSilenceForm(forms.Form):
    """Silence an alert's check for one of a few lengths."""

    minutes = forms.TypedChoiceField(coerce=int, choices=lambda: minute_choices(*DURATIONS))

    def ends_at(self) -> datetime:
        """Return the end of the validated silence."""
        minutes: int = self.cleaned_data["minutes"]
        return clock.now() + timedelta(minutes=minutes)
