"""Keys: what documents call checks and maintenance windows, whatever people call them."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from apps.core.refusals import Refusal

# All that the API takes for a check's key, so that whatever there is can be written and read again.
KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
BAD_KEY = _("Give a key of up to 100 letters, digits, dashes and underscores.")


class KeyTaken(Refusal):
    """Keys tell a tenant's checks apart."""

    message = _("Another check has this key; choose another.")
    field = "key"


@contextmanager
def keys_kept() -> Iterator[None]:
    """Raise `KeyTaken` where a key that is kept within is another check's. The transaction around it is lost then."""
    try:
        yield
    except IntegrityError as error:
        if "checks_check_one_of_key" not in str(error):
            raise
        raise KeyTaken from error


def is_key(value: Any) -> bool:
    return isinstance(value, str) and KEY.fullmatch(value) is not None


def default_key(name: str) -> str:
    """Return the key of a check for which nobody chose one."""
    return slugify(name)[:90].strip("-_") or "check"


def with_keys(names_and_keys: Iterable[tuple[str, str]]) -> list[str]:
    """Return a key for each (name, key), those without one getting the first free one made of their name, in order."""
    given = list(names_and_keys)
    taken = {key for _name, key in given if key}
    keys: list[str] = []
    for name, key in given:
        chosen, number = key or default_key(name), 1
        while not key and chosen in taken:
            number += 1
            chosen = f"{default_key(name)}-{number}"
        taken.add(chosen)
        keys.append(chosen)
    return keys
