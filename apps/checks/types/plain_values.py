"""JSON's single values as a text and as a number, for rules that do not care which of them a server sends."""

import math
import re
from decimal import Decimal
from typing import Any

NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
LONGEST = 400  # as a text; what is longer is no number that anybody measures


def plain_text(value: Any) -> str | None:
    """Return a text as it is, and true, false and numbers as RFC 8785 writes them (as JavaScript does, so that 2.0 is
    2); None for null, lists and objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _written(value) if isinstance(value, int | float) else None


def plain_number(text: str) -> float | None:
    """Return the number that a text is, written as in JSON; None for anything else."""
    if len(text) > LONGEST or not NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _written(value: float) -> str | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    if not math.isfinite(number):
        return None
    shortest = repr(number)
    if number == 0:
        return "0"
    if 1e-6 <= abs(number) < 1e21:
        return f"{Decimal(shortest):f}".removesuffix(".0")
    digits, _mark, exponent = shortest.partition("e")
    return f"{digits}e{int(exponent):+d}"
