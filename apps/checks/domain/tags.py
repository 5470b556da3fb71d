"""Tags of checks: short, distinct, in lower case."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_TAGS = 20
MAX_LENGTH = 40
MANAGED_BY = "managed-by:"  # marks checks that a configuration document takes care of


def clean_tags(given: Iterable[str]) -> list[str]:
    """Return the distinct tags in their order; raise `ValidationError` for too many or too long ones."""
    tags = list(dict.fromkeys(tag.strip().lower() for tag in given if tag.strip()))
    if len(tags) > MAX_TAGS:
        raise ValidationError(_("At most 20 tags."))
    if any(len(tag) > MAX_LENGTH for tag in tags):
        raise ValidationError(_("A tag has at most 40 characters."))
    return tags
