"""What people may say and ask about outages, validated; nothing is written here."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from apps.checks.forms import parse_tags
from apps.checks.models import Check
from apps.core import clock
from apps.incidents.domain.maintenance import BadWindow, validate_window
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.domain.queries import OutageFilter
from apps.incidents.enums import Repeat, Severity
from apps.incidents.models import MAX_NOTE_LENGTH, MaintenanceWindow

STATES = (("", _("Any state")), ("open", _("Ongoing")), ("resolved", _("Resolved")))
SEVERITIES = (("", _("Any severity")), *Severity.choices)
PERIODS = (
    ("", _("Any time")),
    ("1", _("Last 24 hours")),
    ("7", _("Last 7 days")),
    ("30", _("Last 30 days")),
    ("90", _("Last 90 days")),
)


class OutageFilterForm(forms.Form):
    """The list's filters. What makes no sense is left out rather than refused: the address may be an old bookmark."""

    q = forms.CharField(required=False, max_length=150)
    state = forms.ChoiceField(required=False, choices=STATES, label=_("State"))
    severity = forms.ChoiceField(required=False, choices=SEVERITIES, label=_("Severity"))
    period = forms.ChoiceField(required=False, choices=PERIODS, label=_("Time"))
    check = forms.UUIDField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("state", "severity", "period"):
            self.fields[name].widget.attrs.update({"class": "form-select", "aria-label": self.fields[name].label})
        self.full_clean()

    def wanted(self) -> OutageFilter:
        """Return the valid filters."""
        given = self.cleaned_data
        days = given.get("period")
        return OutageFilter(
            text=given.get("q", ""),
            is_open={"open": True, "resolved": False}.get(given.get("state", "")),
            severity=given.get("severity", ""),
            check_id=given.get("check"),
            since_at=clock.now() - timedelta(days=int(days)) if days else None,
        )


WEEKDAYS = (
    (0, _("Monday")),
    (1, _("Tuesday")),
    (2, _("Wednesday")),
    (3, _("Thursday")),
    (4, _("Friday")),
    (5, _("Saturday")),
    (6, _("Sunday")),
)
WALL_CLOCK = "%Y-%m-%dT%H:%M"
# Of when a window takes place, what people see of each way of repeating.
MATTERS = {
    Repeat.ONCE: ("starts_at",),
    Repeat.WEEKLY: ("weekdays", "time_of_day", "repeats_until_at"),
    Repeat.CRON: ("cron", "repeats_until_at"),
}
EMPTY = {"starts_at": None, "weekdays": (), "time_of_day": None, "cron": "", "repeats_until_at": None}


@cache
def all_zones() -> tuple[str, ...]:
    """Return the names of places; reading them takes many small files."""
    return tuple(sorted(available_timezones() - {"localtime", "Factory"}))


class WallClockField(forms.CharField):
    """Date and time as the wall clock of a zone chosen elsewhere in the form shows them; cleans to a naive datetime."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.DateTimeInput(attrs={"type": "datetime-local"}), **options)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return datetime.fromisoformat(text).replace(tzinfo=None) if text else None
        except ValueError as error:
            raise forms.ValidationError(_("Enter a date and a time.")) from error


class WindowForm(forms.Form):
    """Plan maintenance. Which fields matter follows from how often it repeats."""

    name = forms.CharField(label=_("Name"), max_length=150, help_text=_("Customers read it on the status page."))
    description = forms.CharField(
        label=_("Description"), required=False, max_length=2_000, widget=forms.Textarea(attrs={"rows": 3})
    )
    repeat = forms.ChoiceField(label=_("How often"), choices=Repeat.choices, initial=Repeat.ONCE)
    starts_at = WallClockField(label=_("Begins"), required=False)
    weekdays = forms.TypedMultipleChoiceField(
        label=_("Days"), required=False, choices=WEEKDAYS, coerce=int, widget=forms.CheckboxSelectMultiple
    )
    time_of_day = forms.TimeField(
        label=_("Begins at"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    cron = forms.CharField(
        label=_("Begins at, as a cron expression"),
        required=False,
        max_length=100,
        help_text=_("Minute, hour, day, month, day of the week: “0 3 * * 6” is Saturdays at three."),
    )
    repeats_until_at = WallClockField(label=_("Repeats until"), required=False, help_text=_("Empty: for good."))
    duration_minutes = forms.IntegerField(label=_("Lasts"), min_value=1, max_value=7 * 24 * 60, initial=60)
    time_zone = forms.ChoiceField(label=_("Time zone"))
    covers_all = forms.BooleanField(label=_("Every check, also those added later"), required=False)
    tags = forms.CharField(
        label=_("Checks with one of these tags"),
        required=False,
        max_length=1_000,
        help_text=_("Separated by commas. Checks given a tag later count too."),
    )
    checks = forms.ModelMultipleChoiceField(
        label=_("Checks"),
        queryset=Check.objects.none(),
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 8}),
        help_text=_("A group covers all that belongs to it, groups within it too."),
    )
    is_public = forms.BooleanField(
        label=_("Tell customers"),
        required=False,
        initial=True,
        help_text=_("Status pages that show one of the checks announce it."),
    )

    def __init__(self, *args: Any, window: MaintenanceWindow | None, time_zone: str, **kwargs: Any) -> None:
        kwargs.setdefault("initial", _window_initial(window, time_zone))
        super().__init__(*args, **kwargs)
        self.window = window
        zones: Sequence[tuple[Any, Any]] = [(zone, zone) for zone in all_zones()]
        self.fields["time_zone"].choices = zones  # type: ignore[attr-defined]
        self.fields["checks"].queryset = Check.objects.order_by("name")  # type: ignore[attr-defined]
        self.fields["duration_minutes"].unit = _("minutes")  # type: ignore[attr-defined]  # read by form_field.html

    @classmethod
    def of_timing(cls, given: QueryDict, *, time_zone: str) -> "WindowForm":
        """Return a form that judges when it takes place alone; what else is missing may still come."""
        timing = given.copy()
        timing["name"], timing["covers_all"], timing["tags"] = "-", "on", ""
        return cls(timing, window=None, time_zone=time_zone)

    def clean_tags(self) -> list[str]:
        return parse_tags(self.cleaned_data["tags"])

    def clean(self) -> dict[str, Any]:
        """Put instants into their zone, and refuse what nobody could keep beside the field at fault."""
        given: dict[str, Any] = super().clean() or {}
        if not self.errors:
            zone = ZoneInfo(given["time_zone"])
            for name in ("starts_at", "repeats_until_at"):
                given[name] = given[name].replace(tzinfo=zone) if given[name] else None
            try:
                validate_window(self.settings())
            except BadWindow as refusal:
                self.add_error({"duration": "duration_minutes"}.get(refusal.field, refusal.field), str(refusal))
        return given

    def settings(self) -> WindowSettings:
        """Return the validated settings; what does not matter for this repetition is left out."""
        given = dict(self.cleaned_data)
        repeat = given["repeat"] = Repeat(given["repeat"])
        given["duration"] = timedelta(minutes=given.pop("duration_minutes"))
        unseen = {name: empty for name, empty in EMPTY.items() if name not in MATTERS[repeat]}
        return WindowSettings(**{**given, **unseen, **self._untouched(repeat)})

    def _untouched(self, repeat: Repeat) -> dict[str, Any]:
        """Return what of the plan was left as it is, exactly: fields show whole minutes, and not which 02:30 in autumn."""
        if self.window is None:
            return {}
        changed = set(self.changed_data)
        names = [] if "duration_minutes" in changed else ["duration"]
        if "repeat" not in changed:
            moved = {"starts_at", "repeats_until_at"} if "time_zone" in changed else set()
            names += EMPTY.keys() - ((changed | moved) & set(MATTERS[repeat]))
        return {name: getattr(self.window, name) for name in names}


def _window_initial(window: MaintenanceWindow | None, time_zone: str) -> dict[str, Any]:
    if window is None:
        begin = clock.now().astimezone(ZoneInfo(time_zone)) + timedelta(hours=1)
        return {"time_zone": time_zone, "starts_at": begin.replace(minute=0).strftime(WALL_CLOCK)}
    zone = ZoneInfo(window.time_zone)
    plain = ("name", "description", "repeat", "weekdays", "cron", "time_zone", "covers_all", "is_public")
    instants = {
        name: at.astimezone(zone).strftime(WALL_CLOCK)
        for name in ("starts_at", "repeats_until_at")
        if (at := getattr(window, name))
    }
    return {
        **{name: getattr(window, name) for name in plain},
        **instants,
        "time_of_day": window.time_of_day
        and window.time_of_day.replace(second=0, microsecond=0),  # as the field shows it
        "tags": ", ".join(window.tags),
        "checks": list(window.checks.values_list("id", flat=True)),
        "duration_minutes": int(window.duration.total_seconds() // 60),
    }


class NoteForm(forms.Form):
    """A note for the timeline."""

    text = forms.CharField(
        label=_("Note"),
        max_length=MAX_NOTE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("What you found or did. Everyone in the workspace reads it."),
    )
