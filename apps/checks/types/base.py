"""What every check type is: a typed configuration, a verb `probe`, a sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import Verdict
from apps.checks.types.journeys import Step
from apps.checks.types.messages import Message
from apps.core.http.curl import OutboundRequest, Reply
from apps.core.http.urls import ParsedUrl
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text

NO_VALUES: Mapping[str, str | int] = {}
NO_DETAILS: Mapping[str, Any] = {}


class Group(TextChoices):
    """Where the picker lists a check type."""

    WEB = "web", _("Web")
    NETWORK = "network", _("Network")
    MAIL = "mail", _("Mail")
    DATABASE = "database", _("Databases")
    BROKER = "broker", _("Brokers and queues")
    JOB = "job", _("Jobs")
    COMPOSED = "composed", _("Composed of others")


class ProbeFailure(Exception):
    """The target failed the probe; ``code`` and ``values`` become the outcome's error.

    ``is_ours`` says that the fault lies with the prober and tells nothing of the target.
    """

    def __init__(self, code: str, values: Mapping[str, str | int] = NO_VALUES, *, is_ours: bool = False) -> None:
        super().__init__(code, values)
        self.code = code
        self.values = values
        self.is_ours = is_ours


@dataclass(slots=True)  # a frozen one costs three times as much to make, and each probe makes one
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
    cert_expires_at: datetime | None = None  # the first end in the chain that the server sent; a root's does not count
    certificates: tuple[bytes, ...] = ()  # that chain, DER or PEM, where somebody wants to read it
    redirects: int = 0
    details: Mapping[str, Any] = field(default_factory=lambda: NO_DETAILS)


@dataclass(frozen=True, slots=True)
class Fact:
    """How one entry of `Outcome.details` is shown: its name, and the unit of a number; or that others show it."""

    label: Text
    unit: Text = ""
    is_shown: bool = True


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How a stream is secured. ``server_name`` empty means the host; PEM texts for a client certificate."""

    verify: bool = True
    server_name: str = ""
    client_certificate: str = ""
    client_key: str = ""
    alpn: tuple[str, ...] = ()


@dataclass(slots=True)
class Phases:
    """What a probe's connections have measured so far, summed over all of them; None for what was not reached.

    ``first_byte_ms`` is how long the first answer took from the moment its connection was ready; ``certificates`` are the
    DER of the chain of the last server that showed one.
    """

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    remote_ip: str | None = None
    received_bytes: int = 0
    certificates: tuple[bytes, ...] = ()


class Stream(Protocol):
    """A connection to a guarded address. Every method keeps the probe's deadline and raises `ProbeFailure`."""

    remote_ip: str
    dns_ms: float | None
    connect_ms: float
    tls_ms: float | None

    async def write(self, data: bytes) -> None: ...

    async def read_some(self, limit: int = 65_536) -> bytes:
        """Return what is there, at least a byte; empty at the end of the stream."""
        ...

    async def read_exactly(self, size: int) -> bytes: ...

    async def read_until(self, separator: bytes, *, limit: int = 65_536) -> bytes:
        """Return up to and with ``separator``; fails beyond ``limit`` bytes."""
        ...

    async def start_tls(self, tls: TlsSettings) -> None:
        """Secure the open connection (STARTTLS)."""
        ...

    def certificates(self) -> tuple[bytes, ...]:
        """Return the peer's chain as DER, its own first; empty without TLS."""
        ...

    def tls_version(self) -> str:
        """Return the protocol in use, such as ``TLSv1.3``; empty without TLS."""
        ...

    def alpn(self) -> str:
        """Return the application protocol that was agreed on, or nothing."""
        ...

    def close(self) -> None: ...


class Datagrams(Protocol):
    """A connected UDP socket to a guarded address; bounded like `Stream`."""

    remote_ip: str
    dns_ms: float | None

    async def send(self, data: bytes) -> None: ...

    async def receive(self, limit: int = 65_535) -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pings:
    """What came of a series of echo requests: milliseconds each in the order sent, None for a lost one."""

    remote_ip: str
    round_trips_ms: tuple[float | None, ...]


class Network(Protocol):
    """One probe's way out below HTTP. Names are looked up through the engine's resolver and every address passes the
    guard before anything is sent to it; raises `ProbeFailure` with the shared codes of `messages`. What a probe leaves
    open is closed when it ends."""

    phases: Phases

    def beside(self) -> "Network":
        """Return the same way out with phases of its own, for what the probe's measurements are not to show."""
        ...

    def seconds_left(self) -> float:
        """Return how much of the probe's time there still is."""
        ...

    async def resolve(self, host: str) -> tuple[tuple[str, ...], float | None]:
        """Return the allowed addresses of a name, or a literal itself, and the milliseconds that took."""
        ...

    async def open(self, host: str, port: int, *, tls: TlsSettings | None = None) -> Stream: ...

    async def open_datagrams(self, host: str, port: int) -> Datagrams: ...

    async def ping(self, host: str, *, count: int, interval_seconds: float, wait_seconds: float, size: int) -> Pings:
        """Send ICMP echo requests with ``size`` bytes and wait so long for the last; ``icmp_not_allowed``, a fault of
        ours, where this machine may not."""
        ...


@dataclass(slots=True)  # a frozen one costs three times as much to make, and each probe makes one
class Exchange:
    """One request and its answer. ``dns_us`` is how long the lookup took that gave the address."""

    reply: Reply
    dns_us: int


class HttpTransport(Protocol):
    """Sends requests on the event loop; never raises for what a server or the network does."""

    async def exchange(
        self, request: OutboundRequest, address: ParsedUrl, *, context: "ProbeContext", timeout_seconds: float
    ) -> Exchange: ...


@dataclass(slots=True)
class Walk:
    """How far a browser came: milliseconds per finished step, the last page's status and address (without its query)."""

    step_ms: list[float] = field(default_factory=list)
    status_code: int | None = None
    url: str = ""


class Browser(Protocol):
    """A browser whose every request passes the guard. Raises `ProbeFailure`; ``walk`` holds what was done until then."""

    async def walk(
        self,
        steps: Sequence[Step],
        secrets: Mapping[str, str],
        *,
        context: "ProbeContext",
        verify_tls: bool,
        walk: Walk,
    ) -> None: ...


@dataclass(slots=True)  # a frozen one costs three times as much to make, and each probe makes one
class ProbeContext:
    """What the engine gives a probe: its time, its rights, and the ways out."""

    timeout_seconds: float
    allow_private: bool
    http: HttpTransport
    net: Network
    reads_certificate: bool = True
    browser: Browser | None = None  # None where this installation runs none


class CheckType(Protocol):
    """One kind of check. Implementations are stateless; ``Config`` is their own subclass of it."""

    kind: ClassVar[str]
    label: ClassVar[Text]
    help: ClassVar[Text]
    icon: ClassVar[str]  # a Tabler icon's name
    group: ClassVar[Group]
    is_probed: ClassVar[bool]  # False: nothing is sent out; the state comes from elsewhere (heartbeats, groups)
    Config: ClassVar[type[BaseConfig]]
    messages: ClassVar[Mapping[str, Message]]  # reason and mend of this type's own error codes
    facts: ClassVar[Mapping[str, Fact]]  # what it puts into `Outcome.details`

    def sample(self) -> BaseConfig:
        """Return a configuration that works, for docs, forms and contract tests."""
        ...

    def target(self, config: BaseConfig) -> str:
        """Return what lists show as the thing being checked; never a secret."""
        ...

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        """Look once. Raises nothing that the target can cause; a type that is not probed has no such moment."""
        ...
