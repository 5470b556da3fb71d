"""What Gatus makes of a text that is compared: a whole number, a duration, or nothing of the kind."""

import re

MAX_NUMBER = 70  # what is longer is no number: no look at a million digits may take the time of its square
NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|[1-9][0-9_]*|0)")
DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
UNITS_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}


def whole_number(text: str) -> int | None:
    """Read a whole number of 64 bits in any of Go's bases."""
    if len(text) > MAX_NUMBER or not NUMBER.fullmatch(text):
        return None
    digits = text.lower().lstrip("+-")
    if digits.startswith("0") and digits.isdigit():
        digits = "0o" + digits
    try:
        number = int(digits, 0) * (-1 if text.startswith("-") else 1)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None


def number_in_order(text: str) -> int:
    """Return what an order compares: milliseconds of a duration, a number without its fraction, or 0."""
    if (duration := milliseconds(text)) is not None:
        return duration
    if (whole := whole_number(text)) is not None:
        return whole
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return 0


def milliseconds(text: str) -> int | None:
    """Return how many a duration such as ``1h30m`` has."""
    if len(text) > MAX_NUMBER:
        return None
    unsigned = text.lstrip("+-")
    parts = DURATION_PART.findall(unsigned)
    if not parts or "".join(number + unit for number, unit in parts) != unsigned:
        return None
    total = sum(float(number) * UNITS_MS[unit] for number, unit in parts)
    return int(-total if text.startswith("-") else total)


def duration_text(total_ms: int) -> str:
    """Return a duration in hours, minutes and seconds."""
    hours, rest = divmod(abs(total_ms) // 1_000, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "m"), (seconds, "s")]
    shown = "".join(f"{number}{unit}" for number, unit in parts if number)
    return f"{'-' if total_ms < 0 and shown else ''}{shown or '0s'}"
