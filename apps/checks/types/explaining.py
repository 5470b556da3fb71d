"""An error code as two sentences: what is wrong, and what mends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from django.utils.translation import gettext_lazy as _

from apps.checks.types.messages import FORBIDDEN_REASONS, MESSAGES, Message
from apps.checks.types.registry import CHECK_TYPES


@dataclass(frozen=True, slots=True)
class Explanation:
    """Two sentences in the active language."""

    reason: str
    mend: str

    def __str__(self) -> str:
        return f"{self.reason} {self.mend}".strip()


class _Lenient(dict[str, str | int]):
    """Values of a sentence; one that an older result lacks shows as a dash."""

    def __missing__(self, _key: str) -> str:
        return "–"


@cache
def all_messages() -> Mapping[str, Message]:
    """Return the messages of every code: those that types share, and each type's own."""
    own = {code: message for kind in CHECK_TYPES for code, message in kind.messages.items()}
    return {**own, **MESSAGES}


def explain(code: str, values: Mapping[str, str | int] | None = None) -> Explanation:
    """Return the reason and the mend for an error code; an unknown code explains itself."""
    message = all_messages().get(code)
    if message is None:
        return Explanation(code.replace("_", " "), "")
    reason, mend = message
    filled = _Lenient(values or {})
    if code == "address_forbidden":
        filled["reason"] = str(FORBIDDEN_REASONS.get(str(filled["reason"]), filled["reason"]))
    said = str(reason) % filled
    if "in_step" in filled:
        said = str(_("Step “%(step)s”: %(reason)s")) % {"step": filled["in_step"], "reason": said}
    return Explanation(said, str(mend))
