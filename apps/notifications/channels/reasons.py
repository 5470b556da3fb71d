"""Why a receiver could not be reached, in words that say how to mend it."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

REASONS: dict[str, Promise] = {
    "bad_url": _("The address cannot be used. Correct it in the channel's settings."),
    "address_forbidden": _(
        "The address leads to a private or reserved network, which channels may not reach here. Use a public address, "
        "or ask the operator to allow private targets."
    ),
    "dns_failure": _("The host name cannot be found. Check its spelling and its DNS records."),
    "connect_refused": _("The receiver refuses connections. Check that it runs and listens on this port."),
    "connect_timeout": _("The receiver does not answer. Check that it runs and that no firewall is in the way."),
    "network_unreachable": _("There is no way to the receiver's network from here."),
    "no_ipv6_here": _("There is no way to the receiver's network from here."),
    "connect_failed": _("No connection to the receiver could be made."),
    "timeout": _("The receiver took the request but did not answer within 10 seconds."),
    "transfer_timeout": _("The receiver began to answer but did not finish within 10 seconds."),
    "tls_timeout": _("The receiver did not finish the TLS handshake within 10 seconds."),
    "tls_expired": _("The receiver's certificate has expired. Renew it."),
    "tls_not_yet_valid": _("The receiver's certificate is not valid yet. Check its clock."),
    "tls_self_signed": _("The receiver's certificate is self-signed. Use one from a public authority."),
    "tls_unknown_issuer": _(
        "The receiver's certificate comes from an unknown authority, or lacks the intermediate one."
    ),
    "tls_name_mismatch": _("The receiver's certificate is for another host name."),
    "tls_revoked": _("The receiver's certificate was revoked. Replace it."),
    "tls_invalid": _("The receiver's certificate does not verify."),
    "tls_failed": _("The TLS handshake with the receiver failed. Check that it speaks TLS 1.2 or newer on this port."),
    "empty_response": _("The receiver closed the connection without an answer."),
    "connection_lost": _("The connection to the receiver broke before the answer was complete."),
    "bad_response": _("What came back is not HTTP. Check the port, and http against https."),
    "header_flood": _("The receiver answered with too many or too large headers."),
    "own_fault": _("Obsera could not send right now; it tries again."),
}
OTHER = _("The request failed.")


def reason(code: str, detail: str) -> str:
    """Return the sentence for a failure's code; ``detail`` stands in for a code without one."""
    return str(REASONS.get(code) or f"{OTHER} {detail}")
