"""What libcurl tells of the certificates that a server sent: of each, its facts by libcurl's own names."""

import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from apps.core import clock

Facts = Mapping[bytes, bytes]

SHOWN = (b"Subject", b"Issuer", b"Expire date")
MAX_TEXT = 300


def first_end(chain: Sequence[Facts], *, is_verified: bool) -> datetime | None:
    """Return when the first certificate of ``chain``, the server's own first, ends; None where nothing can be read of it.

    A root's end is nothing that a server can mend. Where the chain was verified, an issuer's that is over already is not
    on the way by which it was, or that would have failed: many servers go on sending one that signed a new root once.
    """
    ends = [_instant(facts.get(b"Expire date", b"")) for facts in chain[:1]]
    inner = [facts for facts in chain[1:] if facts.get(b"Subject") != facts.get(b"Issuer")]
    if inner:
        issuers = [end for end in (_instant(facts.get(b"Expire date", b"")) for facts in inner) if end is not None]
        now = clock.now()
        ends += [end for end in issuers if end > now or not is_verified]
    return min((end for end in ends if end is not None), default=None)


def shown(facts: Facts) -> dict[str, str]:
    """Return the facts that are shown, as text; a server may have written anything there."""
    return {name.decode(): facts[name].decode("utf-8", "replace")[:MAX_TEXT] for name in SHOWN if name in facts}


@lru_cache(maxsize=4_096)
def _instant(text: bytes) -> datetime | None:
    try:
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(text.decode("ascii")), UTC)
    except (ValueError, OverflowError, OSError):  # a date beyond what clocks know
        return None
