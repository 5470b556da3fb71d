"""What a channel kind is, and the finished message it carries. Nothing here knows a model."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, NamedTuple, Self

from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.kinds import C, Text
from apps.notifications.enums import MessageState, Severity

# Time for one try over HTTP, from the name lookup to the last byte of the answer.
SEND_TIMEOUT = timedelta(seconds=10)
# The lease outlives the try by a little. It is also the wait after a worker's death, so no longer than it must be.
LEASE = SEND_TIMEOUT + timedelta(seconds=2)
DETAIL_LENGTH = 500


class Fact(NamedTuple):
    """One line of a message's table."""

    label: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """A finished message in plain text: who reads it and why was decided elsewhere.

    ``title`` is one line. ``thread`` ties messages of one story together (firing, resolved) where a kind can show that.
    """

    title: str
    text: str = ""
    severity: Severity = Severity.INFO
    state: MessageState = MessageState.INFO
    facts: tuple[Fact, ...] = ()
    url: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    footer: str = ""
    thread: str = ""
    written_at: datetime = field(default_factory=clock.now)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; `from_json` takes them back."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values["facts"] = [list(fact) for fact in self.facts]
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        instants = {
            name: datetime.fromisoformat(stored[name]) if stored.get(name) else None
            for name in ("started_at", "ended_at", "written_at")
        }
        return cls(
            **{name: stored.get(name, "") for name in ("title", "text", "url", "footer", "thread")},
            severity=Severity(stored["severity"]),
            state=MessageState(stored["state"]),
            facts=tuple(Fact(*fact) for fact in stored["facts"]),
            started_at=instants["started_at"],
            ended_at=instants["ended_at"],
            written_at=instants["written_at"] or clock.now(),
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """What the tenant may reach."""

    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receiver took the message; ``detail`` is what it said."""

    status_code: int | None
    detail: str = ""


class DeliveryError(RuntimeError):
    """The receiver did not take the message. ``message`` says why and how to mend it.

    ``permanent``: another try cannot help. ``retry_after``: the receiver asked for that much patience.
    ``is_gone``: the address wants nothing any more, so the channel is switched off.
    """

    def __init__(
        self,
        message: Text,
        *,
        code: str,
        permanent: bool = False,
        retry_after: timedelta | None = None,
        is_gone: bool = False,
        status_code: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(str(message))
        self.message = str(message)
        self.code = code
        self.permanent = permanent or is_gone
        self.retry_after = retry_after
        self.is_gone = is_gone
        self.status_code = status_code
        self.detail = detail


class ChannelType(ABC, Generic[C]):
    """One way to reach people or programs.

    ``deliver`` makes one try: it returns a `Receipt` or raises `DeliveryError`, within ``lease``. A crash between the
    receiver's yes and our note of it leads to one more try with the same ``key``, so the key always travels along.
    """

    kind: ClassVar[str]
    label: ClassVar[Text]
    icon: ClassVar[str]
    help: ClassVar[Text]
    Config: type[C]
    lease: ClassVar[timedelta] = LEASE

    @abstractmethod
    def deliver(self, config: C, message: Message, *, key: str, policy: Policy) -> Receipt:
        """Hand the message over."""

    @abstractmethod
    def sample(self) -> C:
        """Return a configuration that could be real, for documentation and tests."""

    @abstractmethod
    def address(self, config: C) -> str:
        """Return where it goes, short and without secrets, for lists."""


def sample_message(*, url: str = "") -> Message:
    """Return the message of “Send a test”, also what the contract test sends through every kind."""
    return Message(
        title=str(_("Test from Obsera")),
        text=str(_("If you can read this, the channel works. Alerts will arrive here.")),
        state=MessageState.TEST,
        facts=(Fact(str(_("Reason")), str(_("Someone pressed “Send a test”"))),),
        url=url,
    )
