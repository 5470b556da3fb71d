"""Why it happened, in words."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.checks.types.explaining import explain
from apps.incidents.enums import Severity
from apps.incidents.models import Outage

SLOW = gettext_lazy("It answers, but slower than the check allows.")


def cause(error_code: str, error_values: dict[str, Any]) -> str:
    """Return one sentence for an error, or nothing where there was none."""
    return explain(error_code, error_values).reason if error_code else ""


def cause_of(outage: Outage, severity: Severity | None = None) -> str:
    """Return why the outage is one, in the active language: at its worst, or at that severity."""
    if (severity or outage.severity) == Severity.DEGRADED:
        return str(SLOW)
    return cause(outage.error_code, outage.error_values) or _("The check failed.")


def remedy_of(outage: Outage) -> str:
    """Return what mends it, where we know."""
    return explain(outage.error_code, outage.error_values).mend if outage.error_code else ""
