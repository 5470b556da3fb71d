"""What people may say of their ping key; nothing is written here."""

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.checks.types.heartbeat import check_ping_key


class PingKeyForm(forms.Form):
    """The key that jobs know already."""

    key = forms.CharField(
        label=_("Ping key"),
        max_length=40,
        validators=[check_ping_key],
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "font-monospace"}),
        help_text=_("From another product: jobs that report by name then need our host name alone."),
    )
