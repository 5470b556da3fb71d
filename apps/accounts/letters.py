"""What the letters about accounts say: one entry per occasion of django-allauth, one template for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise
IGNORE = _("It was not you? Then leave this letter: nothing happens.")
ALARM = _("It was not you? Then change your password now and look at your signed-in devices.")


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter. ``link`` names the address in django-allauth's context; texts may name other entries as %(name)s."""

    subject: Text
    text: Text
    action: Text = ""
    link: str = ""
    closing: Text = ALARM


_CONFIRM = Letter(
    subject=_("Confirm your e-mail address"),
    text=_("Please confirm that %(email)s is yours. The link works for three days."),
    action=_("Confirm this address"),
    link="activate_url",
    closing=IGNORE,
)

LETTERS: Mapping[str, Letter] = {
    "account/email/email_confirmation": _CONFIRM,
    "account/email/email_confirmation_signup": Letter(
        subject=_("Welcome to Obsera: confirm your e-mail address"),
        text=_(
            "One click, and your account is ready: please confirm that %(email)s is yours. The link works for three days."
        ),
        action=_("Confirm and start"),
        link="activate_url",
        closing=IGNORE,
    ),
    "account/email/account_already_exists": Letter(
        subject=_("You already have an account"),
        text=_("Someone tried to sign up with %(email)s, which has an account already. Did you forget your password?"),
        action=_("Set a new password"),
        link="password_reset_url",
        closing=IGNORE,
    ),
    "account/email/password_reset_key": Letter(
        subject=_("Set a new password"),
        text=_("You, or someone else, asked for a new password of the account %(email)s."),
        action=_("Set a new password"),
        link="password_reset_url",
        closing=IGNORE,
    ),
    "account/email/password_reset": Letter(
        subject=_("Your password was reset"), text=_("The password of your account was reset by a link in a letter.")
    ),
    "account/email/password_changed": Letter(
        subject=_("Your password was changed"), text=_("The password of your account was changed.")
    ),
    "account/email/password_set": Letter(
        subject=_("Your password was set"), text=_("A password was set for your account.")
    ),
    "account/email/email_changed": Letter(
        subject=_("Your e-mail address was changed"),
        text=_("The address of your account was changed from %(from_email)s to %(to_email)s."),
    ),
    "account/email/email_deleted": Letter(
        subject=_("An e-mail address was removed"), text=_("%(deleted_email)s no longer belongs to your account.")
    ),
    "account/email/email_confirm": Letter(
        subject=_("Your e-mail address is confirmed"), text=_("%(email)s is now the address of your account.")
    ),
    "mfa/email/totp_activated": Letter(
        subject=_("Two-factor sign-in is on"), text=_("An authenticator app now protects your account.")
    ),
    "mfa/email/totp_deactivated": Letter(
        subject=_("Two-factor sign-in is off"), text=_("Your account is no longer protected by an authenticator app.")
    ),
    "mfa/email/recovery_codes_generated": Letter(
        subject=_("New recovery codes"), text=_("New recovery codes were made for your account; the old ones are void.")
    ),
}


def letter_context(prefix: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for ``emails/account.*`` from django-allauth's context of that occasion."""
    letter = LETTERS[prefix]
    return {
        "subject": letter.subject,
        "text": str(letter.text) % {name: value for name, value in given.items() if isinstance(value, str)},
        "action": letter.action,
        "url": given.get(letter.link, ""),
        "closing": letter.closing,
        "facts": _circumstances(given),
    }


def _circumstances(given: Mapping[str, Any]) -> list[tuple[Text, str]]:
    """Return from where and when a change came, where django-allauth knows it."""
    if "timestamp" not in given:
        return []
    return [
        (_("When"), given["timestamp"].strftime("%Y-%m-%d %H:%M UTC")),
        (_("IP address"), str(given["ip"])),
        (_("Browser"), str(given["user_agent"])[:120]),
    ]
