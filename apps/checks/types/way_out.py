"""The settings of how requests go out, for every kind that asks over HTTP: with which certificate, and by which proxy."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.checks.types.http_fields import check_proxy
from apps.core.kinds import Text, Widget, setting

CONNECTION = _("Redirects and connection")


def client_certificate_setting(help_text: Text) -> Any:
    """Return the field of the certificate that servers are shown."""
    return setting(
        "",
        section=CONNECTION,
        label=_("Client certificate"),
        help=help_text,
        widget=Widget.CODE,
        max_length=32_000,
    )


def client_key_setting() -> Any:
    """Return the field of that certificate's key."""
    return setting(
        "",
        section=CONNECTION,
        label=_("Client key"),
        help=_("PEM, without a password. It is stored encrypted."),
        is_secret=True,
        widget=Widget.CODE,
        max_length=16_000,
    )


def proxy_setting(help_text: Text) -> Any:
    """Return the field of the proxy's address."""
    return setting("", section=CONNECTION, label=_("Proxy"), help=help_text, max_length=300, check=check_proxy)


def proxy_username_setting() -> Any:
    """Return the field of who signs in at the proxy."""
    return setting("", section=CONNECTION, label=_("Proxy's user name"), max_length=200)


def proxy_password_setting() -> Any:
    """Return the field of that person's password."""
    return setting(
        "", section=CONNECTION, label=_("Proxy's password"), is_secret=True, widget=Widget.SECRET, max_length=200
    )
