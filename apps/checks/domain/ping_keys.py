"""The tenant's ping key: replaced by a new one, or by the one that jobs know from elsewhere."""

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from apps.checks.domain.heartbeats import new_ping_key, ping_key
from apps.checks.models import PingKey
from apps.core.refusals import Refusal


class PingKeyTaken(Refusal):
    """A ping key says whose jobs report with it: two tenants cannot have the same one."""

    message = _("This ping key is in use already. Give another one.")
    field = "key"


@transaction.atomic
def set_ping_key(key: str) -> None:
    """Let jobs report with this key, and no longer with the one before. Raises `PingKeyTaken`.

    No door keeps keys in memory: each ping by name asks the database whose its key is.
    """
    ping_key()  # so that there is one to replace
    try:
        with transaction.atomic():
            PingKey.objects.update(key=key)
    except IntegrityError as error:
        raise PingKeyTaken from error


def rotate_ping_key() -> str:
    """Replace the key by a new one at random, and return it."""
    key = new_ping_key()
    set_ping_key(key)
    return key
