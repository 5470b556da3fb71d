"""What people may say and ask about outages, validated; nothing is written here."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.incidents.domain.queries import OutageFilter
from apps.incidents.enums import Severity
from apps.incidents.models import MAX_NOTE_LENGTH

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


class NoteForm(forms.Form):
    """A note for the timeline."""

    text = forms.CharField(
        label=_("Note"),
        max_length=MAX_NOTE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("What you found or did. Everyone in the workspace reads it."),
    )
