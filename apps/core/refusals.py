"""When a rule of the product says no."""

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise


class Refusal(ValueError):
    """A rule forbids what was asked; the text tells a person why. Pages show it, the API answers 409 with it.

    A subclass with a ``message`` needs no argument. ``field`` names the field to change, where it is one field's fault;
    a setting's is such as ``config.members``.
    """

    message: str | Promise = ""
    field: str = ""

    def __init__(self, message: str | Promise = "") -> None:
        super().__init__(message or self.message)


class BeyondLimit(Refusal):
    """More was asked than the tenant may have.

    ``limit`` tells programs which limit it is and what it allows. The API answers 403 with it and the field.
    """

    def __init__(self, message: str | Promise, *, field: str = "", limit: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.field = field
        self.limit = dict(limit)


class TooSoon(Refusal):
    """The same was asked a moment ago. The API answers 429 with Retry-After."""

    def __init__(self, message: str | Promise, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
