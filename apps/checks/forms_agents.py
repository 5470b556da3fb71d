"""What people may say of an agent; nothing is written here."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.checks.models import Agent

NAME_LENGTH = Agent._meta.get_field("name").max_length or 80


class AgentForm(forms.Form):
    """What an agent is called."""

    name = forms.CharField(
        label=_("Where does it run?"),
        max_length=NAME_LENGTH,
        widget=forms.TextInput(attrs={"placeholder": _("Office Berlin"), "autocomplete": "off"}),
        help_text=_("Checks, charts and alerts name the place so."),
    )


class RenameAgentForm(forms.Form):
    """Another name for it."""

    name = forms.CharField(label=_("Name"), max_length=NAME_LENGTH)

    def __init__(self, data: Any = None, *, agent: Agent) -> None:
        super().__init__(data, initial={"name": agent.name})


class RotationForm(forms.Form):
    """Whether the old token goes on for a while."""

    at_once = forms.BooleanField(
        label=_("Cut the old token off at once"),
        required=False,
        help_text=_("Otherwise it opens for another 24 hours: time to hand the new one to every process."),
    )
