"""The Kafka check: versions, login, brokers, and a topic whose partitions all have a leader."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, ProbeContext, ProbeFailure
from apps.checks.types.hosts import port_setting
from apps.checks.types.kafka_wire import Cluster, Link, Topic, data, read_cluster, text
from apps.checks.types.messages import Message
from apps.checks.types.scram import ScramLogin
from apps.checks.types.service import (
    ServiceCheck,
    ServiceConfig,
    connect,
    line_setting,
    login_refused,
    service_error,
    shown,
    wrong_protocol,
)
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

METADATA, SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 3, 17, 18, 36
METADATA_VERSION = 4  # the first that promises not to make the topic it is asked for; known since 2017
UNKNOWN_TOPIC, LEADER_NOT_AVAILABLE, TOPIC_FORBIDDEN, UNSUPPORTED_MECHANISM, LOGIN_FAILED = 3, 5, 29, 33, 58
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
CUT_OFF = frozenset({"connection_lost", "empty_response"})


@dataclass(frozen=True, kw_only=True)
class KafkaConfig(ServiceConfig):
    """Which broker is asked, and what its cluster must look like."""

    port: int = port_setting(9092)
    mechanism: str = setting(
        "SCRAM-SHA-256",
        label=_("Login method"),
        help=_("Used where a user is given."),
        choices=tuple((name, name) for name in MECHANISMS),
    )
    min_brokers: int = setting(
        1, label=_("Fewest brokers"), help=_("Fail when the cluster has fewer."), low=1, high=10_000
    )
    topic: str = line_setting(
        label=_("Topic"),
        help=_("Fail when it is missing or a partition has no leader. A missing topic is not made."),
        max_length=249,
    )
    needs_replicas: bool = setting(
        False, label=_("All replicas in sync"), help=_("Fail when a partition of the topic lacks a replica.")
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if self.needs_replicas and not self.topic:
            errors["topic"] = _("Say whose replicas are meant.")
        return errors


class KafkaCheck(ServiceCheck):
    """Asks a Kafka broker about its cluster; what it names is never connected to."""

    kind: ClassVar[str] = "kafka"
    label: ClassVar[Text] = _("Kafka")
    help: ClassVar[Text] = _("Logs in to a Kafka broker, counts the brokers and looks at the partitions of a topic.")
    icon: ClassVar[str] = "arrow-fork"
    group: ClassVar[Group] = Group.BROKER
    Config: ClassVar[type[BaseConfig]] = KafkaConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "kafka_too_old": (
            _("The broker knows nothing of what this check asks (Metadata %(lowest)s to %(highest)s)."),
            _("Kafka 0.11 or newer is needed."),
        ),
        "kafka_brokers_missing": (
            _("The cluster has %(count)s brokers; at least %(limit)s are wanted."),
            _("Look at the brokers that left."),
        ),
        "kafka_topic_missing": (
            _("The topic %(topic)s is missing or hidden from this user."),
            _("Create it, or check what the user may describe."),
        ),
        "kafka_leader_missing": (
            _("%(count)s of %(partitions)s partitions of %(topic)s have no leader."),
            _("Look at the brokers that hold their replicas."),
        ),
        "kafka_replicas_missing": (
            _("%(count)s of %(partitions)s partitions of %(topic)s lack a replica in sync."),
            _("Look for a broker that is down or slow."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "cluster": Fact(_("Cluster")),
        "brokers": Fact(_("Brokers")),
        "controller": Fact(_("Controller")),
        "partitions": Fact(_("Partitions")),
        "leaderless": Fact(_("Partitions without a leader")),
        "under_replicated": Fact(_("Partitions that lack a replica")),
    }

    def sample(self) -> KafkaConfig:
        return KafkaConfig(host="kafka.example.com", username="probe", password="a-password", topic="orders")  # noqa: S106

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("KafkaConfig", config)
        link = Link(await connect(context, wanted))
        await _check_versions(link)
        if wanted.username:
            await _log_in(link, wanted)
        cluster = await _ask_cluster(link, wanted)
        facts |= {"cluster": shown(cluster.name), "brokers": len(cluster.brokers), "controller": cluster.controller}
        if len(cluster.brokers) < wanted.min_brokers:
            raise ProbeFailure("kafka_brokers_missing", {"count": len(cluster.brokers), "limit": wanted.min_brokers})
        if wanted.topic:
            _judge_topic(wanted, cluster.topics.get(wanted.topic), facts)


async def _check_versions(link: Link) -> None:
    """Fail early, and by name, where the broker is too old for what follows."""
    answer = await link.ask(API_VERSIONS, 0)
    error = answer.int16()
    if error:
        raise service_error(f"ApiVersions: {error}")
    ranges = {answer.int16(): (answer.int16(), answer.int16()) for _api in range(answer.count())}
    lowest, highest = ranges.get(METADATA, (-1, -1))
    if not lowest <= METADATA_VERSION <= highest:
        raise ProbeFailure("kafka_too_old", {"lowest": lowest, "highest": highest})


async def _log_in(link: Link, wanted: KafkaConfig) -> None:
    answer = await link.ask(SASL_HANDSHAKE, 1, text(wanted.mechanism))
    error = answer.int16()
    if error == UNSUPPORTED_MECHANISM:
        offered = ", ".join(answer.text() for _mechanism in range(min(20, answer.count())))
        raise ProbeFailure("login_unsupported", {"offered": shown(offered) or "–"})
    if error:
        raise service_error(f"SaslHandshake: {error}")
    if wanted.mechanism == "PLAIN":
        await _prove(link, f"\0{wanted.username}\0{wanted.password}".encode())
        return
    login = ScramLogin(wanted.mechanism, username=wanted.username, password=wanted.password, is_prepared=False)
    proof = await login.respond(await _prove(link, login.first))
    login.verify(await _prove(link, proof))


async def _prove(link: Link, proof: bytes) -> bytes:
    answer = await link.ask(SASL_AUTHENTICATE, 0, data(proof))
    error, words = answer.int16(), answer.text()
    if error == LOGIN_FAILED:
        raise login_refused(words)
    if error:
        raise service_error(f"SaslAuthenticate: {error} {words}")
    return answer.data()


async def _ask_cluster(link: Link, wanted: KafkaConfig) -> Cluster:
    names = [wanted.topic] if wanted.topic else []
    body = len(names).to_bytes(4, "big") + b"".join(map(text, names)) + b"\0"  # and never make a topic
    try:
        return read_cluster(await link.ask(METADATA, METADATA_VERSION, body))
    except ProbeFailure as failure:
        if failure.code in CUT_OFF and not wanted.username:  # how Kafka tells that somebody has to log in
            raise login_refused("") from failure
        raise


def _judge_topic(wanted: KafkaConfig, topic: Topic | None, facts: dict[str, Any]) -> None:
    if topic is None:
        raise wrong_protocol(wanted.topic)
    if topic.error in (UNKNOWN_TOPIC, TOPIC_FORBIDDEN):
        raise ProbeFailure("kafka_topic_missing", {"topic": wanted.topic})
    if topic.error not in (0, LEADER_NOT_AVAILABLE):
        raise service_error(f"{wanted.topic}: {topic.error}")
    facts["partitions"] = topic.partitions
    facts["leaderless"] = topic.leaderless
    facts["under_replicated"] = topic.under_replicated
    named: dict[str, str | int] = {"partitions": topic.partitions, "topic": wanted.topic}
    if topic.leaderless or not topic.partitions:
        raise ProbeFailure("kafka_leader_missing", {"count": topic.leaderless, **named})
    if wanted.needs_replicas and topic.under_replicated:
        raise ProbeFailure("kafka_replicas_missing", {"count": topic.under_replicated, **named})
