"""The settings that kinds below HTTP share: a host and a port."""

from dataclasses import MISSING, dataclass, fields
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.core.http.urls import BadUrl, check_host
from apps.core.kinds import Config, setting


def check_host_field(host: str) -> None:
    """Refuse what can be no host: a URL, a host with a port, an impossible name."""
    if "/" in host:
        raise ValidationError(_("Give the host alone, without https:// and without a path."), code="bad_host")
    try:
        check_host(bare_host(host))
    except BadUrl as error:
        raise ValidationError(str(error), code=error.code) from error


def bare_host(host: str) -> str:
    """Return a host without the brackets that an IPv6 address may have been written in."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def host_setting(**options: Any) -> Any:
    """Declare the setting ``host``."""
    given = {
        "label": _("Host"),
        "help": _("A name or an IP address."),
        "max_length": 255,
        "placeholder": "example.com",
        "check": check_host_field,
    }
    return setting(**{**given, **options})


def port_setting(default: Any = MISSING, **options: Any) -> Any:
    """Declare the setting ``port``, required where it has no usual value."""
    return setting(default, **{"label": _("Port"), "low": 1, "high": 65_535, **options})


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Config):
    """Base of the configurations below HTTP: nothing that has a usual value may be emptied."""

    def clean(self) -> None:
        errors = self.problems()
        if errors:
            raise ValidationError(errors)

    def problems(self) -> dict[str, Any]:
        """Return what is wrong by setting; kinds add their rules between settings where nothing is empty."""
        values = {entry.name: (getattr(self, entry.name), entry.metadata["setting"]) for entry in fields(self)}
        return {
            name: _("This cannot be empty.")
            for name, (value, given) in values.items()
            if value is None or (given.choices and value == "")
        }


def place(host: str, port: int) -> str:
    """Return ``host:port`` as lists show it."""
    bare = bare_host(host)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"
