"""When a rule of the product says no."""

from django.utils.functional import Promise


class Refusal(ValueError):
    """A rule forbids what was asked; the text tells a person why. Pages show it, the API answers 409 with it.

    A subclass with a ``message`` needs no argument.
    """

    message: str | Promise = ""

    def __init__(self, message: str | Promise = "") -> None:
        super().__init__(message or self.message)
