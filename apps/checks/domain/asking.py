"""What is to be probed at once, outside of any turn: a check of the tenant, or a target by a module's name."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.checks.domain.settings import config_of, type_of
from apps.checks.engine.job import ProbeJob
from apps.checks.importers.blackbox_modules import module_settings
from apps.checks.models import Check
from apps.checks.types.registry import CHECK_TYPES
from apps.core.ids import is_uuid
from apps.core.kinds import ConfigErrors, parse_config
from apps.core.refusals import Refusal

CHECK_MODULE = "check"
DEFAULT_MODULE = "http_2xx"
DEFAULT_SECONDS = 10.0
# Modules as blackbox_exporter's own example calls them.
MODULES: Mapping[str, Mapping[str, Any]] = {
    "http_2xx": {"prober": "http"},
    "http_post_2xx": {"prober": "http", "http": {"method": "POST"}},
    "tcp_connect": {"prober": "tcp"},
    "tcp_connect_tls": {"prober": "tcp", "tcp": {"tls": True}},
    "pop3s_banner": {"prober": "tcp", "tcp": {"tls": True, "query_response": [{"expect": "^\\+OK"}]}},
    "ssh_banner": {"prober": "tcp", "tcp": {"query_response": [{"expect": "^SSH-2.0-"}]}},
    "grpc": {"prober": "grpc", "grpc": {"tls": True}},
    "grpc_plain": {"prober": "grpc"},
    "icmp": {"prober": "icmp"},
}


class CannotProbe(Refusal):
    """This target or module cannot be asked; the text says why."""


def job_of_check(name: str, *, allow_private: bool, at_most_seconds: float) -> ProbeJob:
    """Return the probe of the tenant's check with that key or id."""
    check = Check.objects.filter(key=name).first()  # first: 32 hex digits are a key as well as an id
    if check is None and is_uuid(name):
        check = Check.objects.filter(id=name).first()
    if check is None:
        raise CannotProbe(_("There is no check with this key or id."))
    if not type_of(check).is_probed:
        raise CannotProbe(_("This check waits for reports; it has nothing to probe."))
    seconds = min(check.timeout_seconds, at_most_seconds)
    return ProbeJob(None, check.kind, config_of(check), seconds, allow_private)


def job_of_target(target: str, module: str, *, allow_private: bool, at_most_seconds: float) -> ProbeJob:
    """Return the probe of a target by a module's name, with that module's usual settings."""
    if module not in MODULES:
        names = ", ".join((*MODULES, CHECK_MODULE))
        raise CannotProbe(
            _("There is no module “%(module)s”; there are: %(names)s.") % {"module": module[:60], "names": names}
        )
    made = module_settings(MODULES[module], target)
    if made is None or made.kind not in CHECK_TYPES:
        raise CannotProbe(_("Nothing here does what the module “%(module)s” does.") % {"module": module})
    given = {name: value for name, value in made.settings.items() if value not in (None, "", {}, [])}
    try:
        config = parse_config(CHECK_TYPES.get(made.kind).Config, given)
    except ConfigErrors as error:
        name, texts = next(iter(error.errors.items()))
        raise CannotProbe(f"{name}: {texts[0]}") from error
    return ProbeJob(None, made.kind, config, min(DEFAULT_SECONDS, at_most_seconds), allow_private)
