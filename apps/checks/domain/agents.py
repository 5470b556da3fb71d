"""Agents as people handle them, and as they show themselves at the door."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, F, Func, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.checks.domain.agent_wire import AgentToken, parse_bearer, public_key_of, to_base64
from apps.checks.domain.checks import create_check, delete_check, pause_check, rename_check, resume_check
from apps.checks.domain.flips import lock_states
from apps.checks.domain.judging import SILENT_AFTER, rejudge
from apps.checks.domain.pacing import hold_turns
from apps.checks.domain.region_holds import outwait_holders
from apps.checks.domain.wire_fields import WireError
from apps.checks.enums import AgentState, State
from apps.checks.models import Agent, Check, Region, Turn
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.core import clock
from apps.core.ids import uuid7
from apps.core.refusals import Refusal
from apps.core.secrets import derived_key
from apps.core.tenancy import system_scope
from apps.plans.domain.limits import require_room

MAX_AGENTS = 100
AGENTS = "agents"  # as the plans call them
# So long the token before the last one opens, too: time to hand the new one to every process.
ROTATION_GRACE = timedelta(hours=24)
# An agent speaks every 15 seconds; the heartbeat's shortest settings make it an alert after two minutes.
PERIOD_SECONDS = GRACE_SECONDS = 60
CODE_LENGTH = 40
CHECK_NAME_LENGTH = Check._meta.get_field("name").max_length
AGENT_FILE = "obsera-agent.token"
# In which of the colours of states an agent's own is shown.
LOOKS = {
    AgentState.CONNECTED: State.UP,
    AgentState.SILENT: State.DOWN,
    AgentState.NEW: State.NEW,
    AgentState.REVOKED: State.PAUSED,
}


class NameTaken(Refusal):
    """Two agents of a tenant cannot be told apart."""

    message = gettext_lazy("There is an agent of that name already.")
    field = "name"


class TooManyAgents(Refusal):
    """A tenant has so many."""

    message = gettext_lazy("There cannot be more agents. Several processes may share one: start them with its token.")


class NoRegionLeft(Refusal):
    """Regions are numbered in 16 bits."""

    message = gettext_lazy(
        "This installation has no room for another agent. Ask whoever runs it to delete unused ones."
    )


class StillNeeded(Refusal):
    """Checks would have nowhere to be checked from."""


# --- tokens -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4_096)
def signing_key(agent_id: UUID) -> Ed25519PrivateKey:
    """Return the key that this installation signs its answers to an agent with; it is written down nowhere."""
    return Ed25519PrivateKey.from_private_bytes(derived_key("obsera agent answers", owner=agent_id.bytes))


def _fresh_token(agent_id: UUID) -> AgentToken:
    return AgentToken(agent_id, to_base64(secrets.token_bytes(32)), public_key_of(signing_key(agent_id)))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class UnknownToken(Exception):
    """No agent has this token (any more)."""


class RevokedToken(Exception):
    """The agent of this token is not let in any more."""


def authenticate(bearer: str) -> Agent:
    """Return the agent of a token, with its region; raises `UnknownToken` or, to who knows the secret, `RevokedToken`."""
    try:
        agent_id, secret = parse_bearer(bearer)
    except WireError as error:
        raise UnknownToken from error
    agent = _find(agent_id)
    given = _hash(secret)
    is_present = hmac.compare_digest(given, agent.secret_hash if agent else given[::-1])
    is_previous = hmac.compare_digest(given, agent.previous_hash if agent else given[::-1])
    if agent is None or not (is_present or (is_previous and _is_in_grace(agent))):
        raise UnknownToken
    if agent.revoked_at:
        raise RevokedToken
    return agent


# Asked once a second by every agent: putting this statement together each time would be a third of an idle beat's cost.
AGENT_FIELDS, REGION_FIELDS = Agent._meta.concrete_fields, Region._meta.concrete_fields
FIND = "SELECT {}, {} FROM checks_agent AS agent JOIN checks_region AS region ON region.id = agent.region_id WHERE agent.id = %s"
FIND = FIND.format(
    ", ".join(f"agent.{field.column}" for field in AGENT_FIELDS),
    ", ".join(f"region.{field.column}" for field in REGION_FIELDS),
)


def _find(agent_id: UUID) -> Agent | None:
    """Return an agent with its region."""
    with system_scope("a token says itself whose agent it is"), connection.cursor() as cursor:
        cursor.execute(FIND, [agent_id])
        row = cursor.fetchone()
    if row is None:
        return None
    agent = Agent.from_db("default", [field.attname for field in AGENT_FIELDS], row[: len(AGENT_FIELDS)])
    agent.region = Region.from_db("default", [field.attname for field in REGION_FIELDS], row[len(AGENT_FIELDS) :])
    return agent


def _is_in_grace(agent: Agent) -> bool:
    return agent.previous_ends_at is not None and clock.now() < agent.previous_ends_at


@dataclass(frozen=True, slots=True)
class Introduction:
    """What is shown once: the token, and the two commands that make an agent of it."""

    agent: Agent
    token: str

    @property
    def write_command(self) -> str:
        return f"(umask 077 && printf '%s\\n' '{self.token}' > {AGENT_FILE})"

    @property
    def start_command(self) -> str:
        return f"bin/obsera-agent --server {settings.PUBLIC_URL} --token-file {AGENT_FILE}"


# --- what people do ---------------------------------------------------------------------------------------------------


@transaction.atomic
def create_agent(*, name: str) -> tuple[Agent, AgentToken]:
    """Make an agent, its region and the check that tells of its silence. The token is never shown again.

    Raises `BeyondLimit` where the tenant's plan has no room for the agent, or for its check.
    """
    require_room(AGENTS)
    if Agent.objects.count() >= MAX_AGENTS:
        raise TooManyAgents
    agent_id = uuid7()
    token = _fresh_token(agent_id)
    _refuse_name(name)
    region = Region.objects.create(id=_free_number(), code=f"agent-{agent_id.hex}", is_private=True)
    agent = Agent(id=agent_id, name=name, code=_code_for(name), region=region, secret_hash=_hash(token.secret))
    try:
        with transaction.atomic():
            agent.save(force_insert=True)
    except IntegrityError as error:  # rival: another agent made at the same moment under the same code
        raise NameTaken from error
    agent.heartbeat = create_check(
        name=_("Agent %(name)s") % {"name": name},
        kind="heartbeat",
        config=HeartbeatConfig(period_seconds=PERIOD_SECONDS, grace_seconds=GRACE_SECONDS),
    )
    agent.save(update_fields=["heartbeat"])
    return agent, token


def _refuse_name(name: str, *, except_id: UUID | None = None) -> None:
    if Agent.objects.filter(name__iexact=name).exclude(id=except_id).exists():
        raise NameTaken


def _code_for(name: str) -> str:
    """Return what documents call the agent: readable, its own, and the same after a change of name."""
    slug = slugify(name)[:CODE_LENGTH].strip("-")
    begin = slug if slug.startswith("agent") else f"agent-{slug}".strip("-")
    taken = set(Agent.objects.filter(code__startswith=begin).values_list("code", flat=True))
    taken |= set(Region.objects.filter(code__startswith=begin, is_private=False).values_list("code", flat=True))
    numbered = (f"{begin}-{number}" for number in range(2, MAX_AGENTS + 3))
    return next(code for code in (begin, *numbered) if code not in taken)


# Shared regions count up from one. Any free number does; one at random, so that one given back is not soon met again.
FREE_NUMBER = """
SELECT number FROM generate_series(1000, 32767) AS number
WHERE NOT EXISTS (SELECT FROM checks_region WHERE id = number) ORDER BY random() LIMIT 1
"""


def _free_number() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('checks region numbers', 0))")  # rival: another
        cursor.execute(FREE_NUMBER)
        row = cursor.fetchone()
    if row is None:
        raise NoRegionLeft
    return int(row[0])


@transaction.atomic
def rename_agent(agent: Agent, *, name: str) -> None:
    """Call an agent something else; its code stays. The check of its silence follows if it still ends with the old
    name."""
    _refuse_name(name, except_id=agent.id)
    if agent.heartbeat:
        begin = agent.heartbeat.name.removesuffix(agent.name)
        if begin != agent.heartbeat.name and (not begin or begin[-1].isspace()):  # else it is the end of another word
            rename_check(agent.heartbeat, name=f"{begin}{name}"[:CHECK_NAME_LENGTH])
    agent.name = name
    agent.save(update_fields=["name"])


@transaction.atomic
def rotate_token(agent: Agent, *, at_once: bool = False) -> AgentToken:
    """Give an agent a new token. The old one opens for another day, or (``at_once``) never again."""
    present = Agent.objects.select_for_update().get(id=agent.id)  # rival: another rotation
    token = _fresh_token(agent.id)
    agent.previous_hash = "" if at_once else present.secret_hash
    agent.previous_ends_at = None if at_once else clock.now() + ROTATION_GRACE
    agent.secret_hash = _hash(token.secret)
    agent.save(update_fields=["previous_hash", "previous_ends_at", "secret_hash"])
    return token


@transaction.atomic
def revoke_agent(agent: Agent) -> None:
    """Let an agent in no more. Its silence is wanted: the check that tells of it is paused."""
    if Agent.objects.filter(id=agent.id, revoked_at=None).update(revoked_at=clock.now()) and agent.heartbeat:
        pause_check(agent.heartbeat)
    agent.refresh_from_db(fields=["revoked_at"])


@transaction.atomic
def reinstate_agent(agent: Agent) -> AgentToken:
    """Let a revoked agent in again, with a new token alone; raises `BeyondLimit` while there are more than the plan allows."""
    require_room(AGENTS, more=0)
    token = rotate_token(agent, at_once=True)
    if Agent.objects.filter(id=agent.id).exclude(revoked_at=None).update(revoked_at=None) and agent.heartbeat:
        resume_check(agent.heartbeat)
    agent.revoked_at = None
    return token


@transaction.atomic
def delete_agent(agent: Agent) -> None:
    """Forget an agent, its region and the check of its silence; results stay. Raises `StillNeeded` where checks have no
    other region."""
    outwait_holders()  # rivals: those who save a check onto the region, or let one go on there
    using = Check.objects.filter(regions__contains=[agent.region_id])
    alone = list(using.filter(regions__len=1).order_by("name").values_list("name", flat=True))
    if alone:
        raise StillNeeded(_refusal(alone))
    check_ids = list(using.values_list("id", flat=True))
    # Rivals: colleagues who edit or delete many of them, in the order of their ids; pings, which lock states before checks.
    touched_ids = [*check_ids, *([agent.heartbeat_id] if agent.heartbeat_id else [])]
    hold_turns(touched_ids)
    lock_states(touched_ids)
    touched = Check.objects.filter(id__in=touched_ids)
    list(touched.select_for_update().order_by("id").values_list("id"))
    left = Func(F("regions"), agent.region_id, function="array_remove", output_field=Check._meta.get_field("regions"))
    fewer = Func(F("confirmations"), Func("regions", function="cardinality") - 1, function="least")
    using.update(regions=left, confirmations=fewer, updated_at=clock.now())
    Turn.objects.filter(region_id=agent.region_id).delete()
    rejudge(check_ids, at=clock.now())
    if agent.heartbeat:
        delete_check(agent.heartbeat)
    Agent.objects.filter(id=agent.id).delete()
    Region.objects.filter(id=agent.region_id, is_private=True).delete()


def _refusal(names: list[str]) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:3])
    rest = len(names) - 3
    if rest > 0:
        text = ngettext(
            "%(names)s and one more check are checked from this agent alone. Choose other regions for them first.",
            "%(names)s and %(count)s more checks are checked from this agent alone. Choose other regions for them first.",
            rest,
        )
        return text % {"names": shown, "count": rest}
    return ngettext(
        "%(names)s is checked from this agent alone. Choose another region for it first.",
        "%(names)s are checked from this agent alone. Choose other regions for them first.",
        len(names),
    ) % {"names": shown}


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AgentStanding:
    """An agent as people see it; ``checks`` is how many are probed from it."""

    agent: Agent
    state: AgentState
    checks: int

    @property
    def look(self) -> State:
        return LOOKS[self.state]


def count_agents() -> int:
    """Return how many agents the open tenant has, revoked ones too."""
    return int(Agent.objects.count())


def find_agents() -> QuerySet[Agent]:
    """Return the tenant's agents by name, with what `standing_of` reads."""
    of_region = Turn.objects.filter(region_id=OuterRef("region_id")).order_by().values("region_id")
    counted = Subquery(of_region.annotate(count=Count("pk")).values("count"), output_field=IntegerField())
    found: QuerySet[Agent] = Agent.objects.select_related("region", "heartbeat__checkstate")
    return found.annotate(checks=Coalesce(counted, 0)).order_by("name", "id")


def standing_of(agent: Agent) -> AgentStanding:
    """Return how an agent found by `find_agents` stands now."""
    return AgentStanding(agent, state_of(agent), agent.checks)  # type: ignore[attr-defined]  # annotated


def state_of(agent: Agent) -> AgentState:
    seen_at = agent.region.seen_at
    if agent.revoked_at:
        return AgentState.REVOKED
    if seen_at is None:
        return AgentState.NEW
    return AgentState.CONNECTED if clock.now() - seen_at <= SILENT_AFTER else AgentState.SILENT


def grace_ends_at(agent: Agent) -> datetime | None:
    """Return until when the token before the present one opens, if it still does."""
    return agent.previous_ends_at if _is_in_grace(agent) else None


def checks_of(agent: Agent) -> QuerySet[Check]:
    """Return the checks that are probed from an agent, by name."""
    found: QuerySet[Check] = Check.objects.filter(regions__contains=[agent.region_id]).order_by("name", "id")
    return found
