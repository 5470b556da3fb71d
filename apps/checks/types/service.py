"""What checks of mail servers, databases and brokers share: where to go, how to secure the way, who to log in as."""

import base64
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Outcome, ProbeContext, ProbeFailure, Stream, TlsSettings
from apps.checks.types.hiding import hide_secrets
from apps.checks.types.hosts import bare_host, host_setting, place, port_setting
from apps.checks.types.probing import Findings, run_probe
from apps.core.kinds import Config, Text, Widget, setting

SHOWN = 200  # characters of a server's own words that go into a result
SHOWN_ENTRY = 60  # and of one entry of a list
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


class Security(TextChoices):
    """How a connection is secured."""

    NONE = "none", _("Not encrypted")
    STARTTLS = "starttls", _("STARTTLS")
    TLS = "tls", _("TLS from the first byte")


def check_line(value: str) -> None:
    """Refuse what would end a line of a protocol; raises ValidationError."""
    if UNPRINTABLE.search(value):
        raise ValidationError(_("Control characters are not allowed."), code="control")


def security_setting(default: Security, *choices: Security) -> Any:
    """Return the setting for encryption, with the ways that the protocol knows."""
    return setting(default.value, label=_("Encryption"), choices=tuple((way.value, way.label) for way in choices))


def line_setting(*, label: Text, help: Text = "", default: Any = "", **options: Any) -> Any:
    """Return the setting for one line of text that goes into a protocol as it is."""
    return setting(default, label=label, help=help, check=check_line, **options)


@dataclass(frozen=True, kw_only=True)
class ServiceConfig(Config):
    """Where a service is, how the way there is secured and who logs in. Kinds declare port and security anew."""

    host: str = host_setting()
    port: int = port_setting()
    security: str = security_setting(Security.NONE, Security.NONE, Security.TLS)
    verify_tls: bool = setting(
        True,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )
    username: str = line_setting(label=_("User"), help=_("Empty means that nobody logs in."), max_length=255)
    password: str = setting(
        "", label=_("Password"), is_secret=True, widget=Widget.SECRET, max_length=1_000, check=check_line
    )

    def clean(self) -> None:
        errors = self.problems()
        if errors:
            raise ValidationError(errors)

    def problems(self) -> dict[str, Any]:
        """Return the rules between fields that are broken; kinds add theirs."""
        errors: dict[str, Any] = {
            entry.name: _("This cannot be empty.")
            for entry in fields(self)
            if getattr(self, entry.name) is None
            or (entry.metadata["setting"].choices and not getattr(self, entry.name))
        }
        if self.password and not self.username and self.needs_name:
            errors["username"] = _("Say who logs in with this password.")
        return errors

    @property
    def needs_name(self) -> bool:
        """Tell whether a password alone says nothing."""
        return True

    @property
    def address(self) -> str:
        """Return host and port as lists show them."""
        return place(self.host, self.port)

    @property
    def tls(self) -> TlsSettings:
        return TlsSettings(verify=self.verify_tls)


class ServiceCheck(ABC):
    """Base of the kinds that hold one conversation with one service."""

    is_probed: ClassVar[bool] = True

    def target(self, config: Config) -> str:
        return cast("ServiceConfig", config).address

    async def probe(self, config: Config, context: ProbeContext) -> Outcome:
        async def talk(findings: Findings) -> None:
            await self.talk(cast("ServiceConfig", config), context, findings.details)

        outcome = await run_probe(context, talk)
        hide_secrets(outcome, _spoken_secrets(cast("ServiceConfig", config)))
        return outcome

    @abstractmethod
    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        """Hold the conversation and note the facts; raises `ProbeFailure` where it does not go well."""


def _spoken_secrets(config: ServiceConfig) -> Iterator[str]:
    """Yield every secret as it may have been said, and so may be repeated: as it is, and packed for a mail server."""
    for entry in fields(config):
        if entry.metadata["setting"].is_secret and (secret := getattr(config, entry.name)):
            packed = (secret, f"\0{config.username}\0{secret}")
            yield from (secret, *(base64.b64encode(text.encode()).decode() for text in packed))


async def connect(context: ProbeContext, wanted: ServiceConfig) -> Stream:
    """Open the connection, secured at once where the check says so."""
    tls = wanted.tls if wanted.security == Security.TLS else None
    return await context.net.open(bare_host(wanted.host), wanted.port, tls=tls)


async def part(stream: Stream, goodbye: bytes) -> None:
    """Take leave as the protocol wants it; a server that has gone already is no failure."""
    with suppress(ProbeFailure):
        await stream.write(goodbye)


def shown(words: bytes | str) -> str:
    """Return a server's own words as one short line."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return UNPRINTABLE.sub(" ", text).strip()[:SHOWN]


def shown_list(words: Iterable[str], *, most: int = 40) -> list[str]:
    """Return a server's list in alphabetical order, short enough for a result."""
    return sorted(word[:SHOWN_ENTRY] for word in words)[:most]


def wrong_protocol(words: bytes | str = b"") -> ProbeFailure:
    """Return the failure for an answer that the protocol does not know."""
    return ProbeFailure("wrong_protocol", {"answer": shown(words) or "–"})


def login_refused(words: bytes | str) -> ProbeFailure:
    """Return the failure for a refused name or password."""
    return ProbeFailure("login_refused", {"answer": shown(words) or "–"})


def service_error(words: bytes | str) -> ProbeFailure:
    """Return the failure for a server that says itself that something is wrong."""
    return ProbeFailure("service_error", {"answer": shown(words) or "–"})
