"""What sign-up asks besides e-mail and password."""

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User


class NameForm(forms.Form):
    """The person's name, first on the sign-up page."""

    name = forms.CharField(
        label=_("Your name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name", "autofocus": True})
    )
    field_order = ["name", "email", "password1"]

    def signup(self, request: HttpRequest, user: User) -> None:
        """Keep the name (called by django-allauth once the person exists)."""
        user.name = self.cleaned_data["name"]
        user.save(update_fields=["name"])
