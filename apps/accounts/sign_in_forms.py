"""django-allauth's forms in the product's clothes: labels above the fields, no second label inside them.

A module of its own, since django-allauth imports `accounts.forms` while its own forms are still being made.
"""

from typing import Any

from allauth.account import forms as account
from allauth.mfa.base import forms as mfa
from allauth.mfa.totp.forms import ActivateTOTPForm
from django.utils.translation import gettext_lazy as _

LABELS = {
    "login": _("E-mail address"),
    "email": _("E-mail address"),
    "password": _("Password"),
    "password1": _("Password"),
}


RULES = _("At least 10 characters; not a common password, and not your name or address.")


class PlainFields:
    """Takes placeholders away, names fields as the rest of the product does, and says the rules of passwords in a line."""

    labels = LABELS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():  # type: ignore[attr-defined]
            field.widget.attrs.pop("placeholder", None)
            field.label = self.labels.get(name, field.label)
            if name == "password1":
                field.help_text = RULES


class SignInForm(PlainFields, account.LoginForm):  # type: ignore[misc]
    """E-mail address and password."""


class SignUpForm(PlainFields, account.SignupForm):  # type: ignore[misc]
    """Name, e-mail address, password."""


class AskForResetForm(PlainFields, account.ResetPasswordForm):  # type: ignore[misc]
    """The address that gets the link."""


class ResetPasswordForm(PlainFields, account.ResetPasswordKeyForm):  # type: ignore[misc]
    """The new password, after the link."""

    labels = {"password1": _("New password"), "password2": _("New password, once more")}


class ChangePasswordForm(PlainFields, account.ChangePasswordForm):  # type: ignore[misc]
    """The old password and the new one."""

    labels = {
        "oldpassword": _("Present password"),
        "password1": _("New password"),
        "password2": _("New password, once more"),
    }


class SetPasswordForm(PlainFields, account.SetPasswordForm):  # type: ignore[misc]
    """A first password."""

    labels = ResetPasswordForm.labels


class NewAddressForm(PlainFields, account.AddEmailForm):  # type: ignore[misc]
    """The address to change to."""

    labels = {"email": _("New e-mail address")}


class ConfirmPasswordForm(PlainFields, account.ReauthenticateForm):  # type: ignore[misc]
    """The password once more, before something dangerous."""


class CodeForm(PlainFields, mfa.AuthenticateForm):  # type: ignore[misc]
    """A code of the authenticator app, or a recovery code."""


class ConfirmCodeForm(PlainFields, mfa.ReauthenticateForm):  # type: ignore[misc]
    """A code once more, before something dangerous."""


class EnrolForm(PlainFields, ActivateTOTPForm):  # type: ignore[misc]
    """The first code of a new authenticator app."""

    labels = {"code": _("Code shown by the app")}
