"""What an agent and this installation say to each other: rows as compact JSON arrays, tokens, and signed answers.

Pure functions, used at both ends. What comes in is checked field by field and raises `WireError` with the field's name; that
a time is plausible and a row belongs to the tenant is for the server to judge. Times travel as whole microseconds since 1970.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from apps.checks.domain.results import NewResult
from apps.checks.domain.turns import ClaimedTurn
from apps.checks.domain.wire_fields import (
    WireError,
    WireField,
    document,
    dump,
    load,
    maybe,
    number,
    read_address,
    read_id,
    read_list,
    read_row,
    read_time,
    text,
    to_wire_time,
    whole_number,
)
from apps.checks.enums import Verdict

MAX_RESULTS, MAX_TURNS, MAX_BODY_BYTES = 2_000, 2_500, 4 * 1024 * 1024
MAX_CONTROLS, MAX_CONTROL_LENGTH = 50, 300
CLOCKS_MAY_DIFFER = timedelta(minutes=5)
# An agent serves one tenant and is never told which.
NO_TENANT = UUID(int=0)

LONGEST_MS = 86_400_000.0
MAX_VALUES_BYTES, MAX_DETAILS_BYTES = 4_096, 32_768
SETTINGS_DEPTH = 20  # a field of a step in a list may be as deep as forms take it: `apps.core.kind_fields`


class NotSigned(Exception):
    """The answer does not come from the server that made the token, or not now, or not to this question."""


# --- tokens -----------------------------------------------------------------------------------------------------------

_BEARER = r"oba_(?P<id>[0-9a-f]{32})_(?P<secret>[A-Za-z0-9_-]{43})"
BEARER = re.compile(_BEARER, re.ASCII)
TOKEN = re.compile(_BEARER + r"_(?P<key>[A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class AgentToken:
    """What an agent is given once: who it is, what proves it, and whose answers it may believe."""

    agent_id: UUID
    secret: str
    public_key: bytes

    def __str__(self) -> str:
        return f"{self.bearer}_{to_base64(self.public_key)}"

    @property
    def bearer(self) -> str:
        """The part that is shown at the door: without the key, which the server knows."""
        return f"oba_{self.agent_id.hex}_{self.secret}"


def parse_token(text: str) -> AgentToken:
    """Read a whole token, as it stands in the agent's file."""
    match = TOKEN.fullmatch(text.strip())
    if match is None:
        raise WireError("token", "is not an agent's token: copy it whole, it begins with oba_")
    return AgentToken(UUID(match["id"]), match["secret"], from_base64(match["key"]))


def parse_bearer(text: str) -> tuple[UUID, str]:
    """Return the agent's id and its secret, as they come to the door."""
    match = BEARER.fullmatch(text)
    if match is None:
        raise WireError("token", "is not an agent's token")
    return UUID(match["id"]), match["secret"]


def to_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# --- answers ----------------------------------------------------------------------------------------------------------


def public_key_of(key: Ed25519PrivateKey) -> bytes:
    """Return the 32 bytes that go into the token."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def seal_answer(
    key: Ed25519PrivateKey, verb: str, nonce: str, fields: Mapping[str, Any], *, at: datetime
) -> tuple[bytes, str]:
    """Return an answer's body, dated, and its signature."""
    body = dump({"issued_at": to_wire_time(at), **fields})
    return body, to_base64(key.sign(_signed_part(verb, nonce, body)))


def open_answer(
    public_key: bytes, verb: str, nonce: str, body: bytes, signature: str, *, now: datetime
) -> tuple[dict[str, Any], datetime]:
    """Return an answer's fields and when it was given, or raise `NotSigned`; answers need not be dated in their order."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(from_base64(signature), _signed_part(verb, nonce, body))
    except (InvalidSignature, ValueError) as error:
        raise NotSigned("the answer does not come from the server that made this token") from error
    fields = load(body)
    issued_at = read_time(fields.pop("issued_at", None), "issued_at")
    if abs(issued_at - now) > CLOCKS_MAY_DIFFER:
        raise NotSigned(f"the answer is of {issued_at:%Y-%m-%d %H:%M:%S} UTC: set this machine's clock or the server's")
    return fields, issued_at


def _signed_part(verb: str, nonce: str, body: bytes) -> bytes:
    return b"obsera-agent-v1\n" + verb.encode() + b"\n" + nonce.encode() + b"\n" + body


# --- results ----------------------------------------------------------------------------------------------------------


def encode_results(results: Iterable[NewResult]) -> list[list[Any]]:
    """Return what `decode_results` reads. Tenant and region are left out: the token tells them."""
    return [[field.write(getattr(result, field.name)) for field in RESULT_FIELDS] for result in results]


def decode_results(
    value: object, *, tenant_id: UUID, region_id: int, at_most: int = MAX_RESULTS, field: str = "results"
) -> list[NewResult]:
    """Read results as those of one tenant from one region."""
    return [
        NewResult(
            **read_row(row, RESULT_FIELDS, f"{field}[{place}]"),
            tenant_id=tenant_id,
            region_id=region_id,
        )
        for place, row in enumerate(read_list(value, field, at_most))
    ]


# --- turns ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OfferedTurn:
    """A claimed turn as an agent gets it: with the interval, so that it can go on by itself."""

    turn: ClaimedTurn
    interval_seconds: int


def encode_turns(offered: Iterable[OfferedTurn]) -> list[list[Any]]:
    """Return what `decode_turns` reads."""
    return [
        [
            each.turn.check_id.hex,
            each.turn.version,
            to_wire_time(each.turn.due_at),
            round(each.turn.starts_in_seconds, 6),
            each.turn.timeout_seconds,
            each.interval_seconds,
        ]
        for each in offered
    ]


def known_failures(offered: Iterable[OfferedTurn]) -> list[str]:
    """Return the checks of which another failure is no news: told beside the turns, whose rows earlier agents count."""
    return [each.turn.check_id.hex for each in offered if not each.turn.is_news]


def decode_turns(
    value: object, *, region_id: int, known_failures: Iterable[UUID] = (), allows_private: bool = True
) -> list[OfferedTurn]:
    """Read turns at the agent; its own allow-list says which targets it may probe."""
    offered, known = [], frozenset(known_failures)
    for place, row in enumerate(read_list(value, "turns", MAX_TURNS)):
        read = read_row(row, TURN_FIELDS, f"turns[{place}]")
        interval_seconds: int = read.pop("interval_seconds")
        read |= {"region_id": region_id, "allows_private": allows_private, "is_news": read["check_id"] not in known}
        offered.append(OfferedTurn(ClaimedTurn(**read, tenant_id=NO_TENANT), interval_seconds))
    return offered


def encode_held(turns: Iterable[ClaimedTurn]) -> list[list[Any]]:
    """Name turns that the agent holds, for ``extend`` and ``give_back``."""
    return [[turn.check_id.hex, to_wire_time(turn.due_at)] for turn in turns]


def decode_held(value: object, field: str) -> list[tuple[UUID, datetime]]:
    """Read the names of turns: check and moment."""
    rows = (
        read_row(row, HELD_FIELDS, f"{field}[{place}]") for place, row in enumerate(read_list(value, field, MAX_TURNS))
    )
    return [(read["check_id"], read["due_at"]) for read in rows]


# --- settings and health ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenSettings:
    """A check's settings as its agent gets them, secrets open."""

    version: int
    kind: str
    public: dict[str, Any]
    secrets: dict[str, Any]


def encode_settings(settings: Mapping[UUID, OpenSettings]) -> dict[str, list[Any]]:
    """Return what `decode_settings` reads."""
    return {check_id.hex: [one.version, one.kind, one.public, one.secrets] for check_id, one in settings.items()}


def decode_settings(value: object) -> tuple[dict[UUID, OpenSettings], dict[UUID, WireError]]:
    """Read settings by check, and say what is wrong with the rest: no check's cost another its turn."""
    if not isinstance(value, dict) or len(value) > MAX_TURNS:
        raise WireError("settings", f"must be an object of at most {MAX_TURNS} entries")
    read, wrong = {}, {}
    for key, row in value.items():
        check_id = read_id(key, "settings")
        try:
            read[check_id] = OpenSettings(**read_row(row, SETTINGS_FIELDS, f"settings.{key}"))
        except WireError as error:
            wrong[check_id] = error
    return read, wrong


def decode_ids(value: object, field: str) -> list[UUID]:
    """Read a list of check ids."""
    return [read_id(each, f"{field}[{place}]") for place, each in enumerate(read_list(value, field, MAX_TURNS))]


def decode_texts(value: object, field: str) -> list[str]:
    """Read a short list of short texts."""
    read = text(MAX_CONTROL_LENGTH)
    return [read(each, f"{field}[{place}]") for place, each in enumerate(read_list(value, field, MAX_CONTROLS))]


def decode_count(value: object, field: str, *, at_most: int = 2_147_483_647) -> int:
    return int(whole_number(0, at_most)(value, field))


MILLISECONDS = maybe(number(LONGEST_MS))
ID = WireField("check_id", read_id, lambda check_id: check_id.hex)
DUE_AT = WireField("due_at", read_time, to_wire_time)
HELD_FIELDS = (ID, DUE_AT)
RESULT_FIELDS = (
    ID,
    DUE_AT,
    WireField("started_at", read_time, to_wire_time),
    WireField("verdict", whole_number(min(Verdict.values), max(Verdict.values)), int),
    WireField("status_code", maybe(whole_number(0, 32_767))),
    *(
        WireField(name, MILLISECONDS)
        for name in ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms", "total_ms")
    ),
    WireField("body_bytes", maybe(whole_number(0, 2_147_483_647))),
    WireField("remote_ip", maybe(read_address)),
    WireField("error_code", text(40, "[a-z0-9_]*")),
    WireField("error_values", maybe(document(MAX_VALUES_BYTES))),
    WireField("details", maybe(document(MAX_DETAILS_BYTES))),
)
TURN_FIELDS = (
    ID,
    WireField("version", whole_number(0, 2_147_483_647)),
    DUE_AT,
    WireField("starts_in_seconds", number(3_600.0)),
    WireField("timeout_seconds", whole_number(1, 3_600)),
    WireField("interval_seconds", whole_number(1, 604_800)),
)
SETTINGS_FIELDS = (
    WireField("version", whole_number(0, 2_147_483_647)),
    WireField("kind", text(60, "[a-z0-9_]+")),
    WireField("public", document(MAX_BODY_BYTES, depth=SETTINGS_DEPTH)),
    WireField("secrets", document(MAX_BODY_BYTES, depth=SETTINGS_DEPTH)),
)
