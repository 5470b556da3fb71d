"""What every check type is: a typed configuration, a verb `probe`, a sample."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

from apps.checks.enums import Verdict
from apps.core.http.curl import OutboundRequest, Reply
from apps.core.http.urls import ParsedUrl
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text

NO_VALUES: Mapping[str, str | int] = {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one probe saw.

    Times are milliseconds, rounded to a hundredth since a neighbour answers within one; None for a phase that was not
    reached or does not exist. ``error_code`` is empty on success; `messages.explain` makes sentences of it. ``verdict``
    is `UNKNOWN` where the fault is ours and says nothing of the target; slowness is for the caller to judge.
    """

    verdict: Verdict
    error_code: str = ""
    error_values: Mapping[str, str | int] = field(default_factory=lambda: NO_VALUES)
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    transfer_ms: float | None = None
    total_ms: float | None = None
    status_code: int | None = None
    remote_ip: str | None = None
    body_bytes: int | None = None
    is_truncated: bool = False
    http_version: str = ""
    cert_expires_at: datetime | None = None
    redirects: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer. ``dns_us`` is how long the lookup took that gave the address."""

    reply: Reply
    dns_us: int


class HttpTransport(Protocol):
    """Sends requests on the event loop; never raises for what a server or the network does."""

    async def exchange(
        self, request: OutboundRequest, address: ParsedUrl, *, context: "ProbeContext", timeout_seconds: float
    ) -> Exchange: ...


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """What the engine gives a probe: its time, its rights, and the ways out."""

    timeout_seconds: float
    allow_private: bool
    http: HttpTransport
    reads_certificate: bool = True


class CheckType(Protocol):
    """One kind of check. Implementations are stateless; ``Config`` is their own subclass of it."""

    kind: ClassVar[str]
    label: ClassVar[Text]
    help: ClassVar[Text]
    icon: ClassVar[str]  # a Tabler icon's name
    Config: ClassVar[type[BaseConfig]]

    def sample(self) -> BaseConfig:
        """Return a configuration that works, for docs, forms and contract tests."""
        ...

    def target(self, config: BaseConfig) -> str:
        """Return what lists show as the thing being checked; never a secret."""
        ...

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        """Look once. Raises nothing that the target can cause."""
        ...
