"""All check types. A new one is a file beside this one and a line here."""

from apps.checks.types.base import CheckType
from apps.checks.types.http import HttpCheck
from apps.checks.types.statuspage import StatuspageCheck
from apps.core.registry import Registry

CHECK_TYPES: Registry[CheckType] = Registry(
    "check types",
    (
        HttpCheck(),
        StatuspageCheck(),
    ),
)
