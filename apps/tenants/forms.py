"""Forms about tenants, members, invitations and keys. They validate; the domain writes."""

import zoneinfo
from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.tenants.domain.invitations import EMAIL_LENGTH
from apps.tenants.domain.rights import grantable_roles
from apps.tenants.enums import Role
from apps.tenants.models import Tenant

LIFETIMES = {"30": timedelta(days=30), "90": timedelta(days=90), "365": timedelta(days=365), "": None}


def role_choices(can: frozenset[str]) -> list[tuple[str, Any]]:
    """Return the roles that someone with these rights may give, the weakest first."""
    return [(role.value, role.label) for role in reversed(grantable_roles(can))]


class NewTenantForm(forms.Form):
    """A new organisation."""

    name = forms.CharField(
        label=_("Name of your organisation"),
        max_length=100,
        help_text=_("Your company or team. You can change it later."),
        widget=forms.TextInput(attrs={"autocomplete": "organization", "autofocus": True}),
    )


class SettingsForm(forms.ModelForm[Tenant]):
    """Name and time zone of the organisation."""

    time_zone = forms.ChoiceField(label=_("Time zone"), help_text=_("Pages and letters show times in this zone."))

    class Meta:
        model = Tenant
        fields = ["name", "time_zone"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})
        self.fields["time_zone"].choices = [(name, name.replace("_", " ")) for name in names]  # type: ignore[attr-defined]


class RoleForm(forms.Form):
    """A role that the asker may give."""

    role = forms.ChoiceField(label=_("Role"))

    def __init__(self, *args: Any, can: frozenset[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = role_choices(can)  # type: ignore[attr-defined]

    @property
    def chosen_role(self) -> Role:
        return Role(self.cleaned_data["role"])


class InvitationForm(RoleForm):
    """Who is invited, as what."""

    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=EMAIL_LENGTH,
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "name@example.com"}),
    )
    field_order = ["email", "role"]


class ApiKeyForm(RoleForm):
    """What a new key is for, what it may do, and how long it lives."""

    name = forms.CharField(
        label=_("What is it for?"),
        max_length=100,
        widget=forms.TextInput(attrs={"placeholder": _("Deployment pipeline")}),
    )
    lifetime = forms.ChoiceField(
        label=_("Valid for"),
        required=False,
        choices=[("30", _("30 days")), ("90", _("90 days")), ("365", _("One year")), ("", _("Until revoked"))],
        initial="90",
    )
    field_order = ["name", "role", "lifetime"]

    @property
    def chosen_lifetime(self) -> timedelta | None:
        return LIFETIMES[self.cleaned_data["lifetime"]]
