"""Uptime Kuma's brokers and its browser: what they ask for, without the messages that they send."""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.hosted import host_of, port_of
from apps.checks.importers.kuma_file import Row, object_of
from apps.checks.importers.kuma_services import PLAIN, Made, conditions_of, tls
from apps.checks.importers.wish import basic_login, integer, is_true
from apps.core.kinds import Text

SCHEME = re.compile(r"^(\w+)://")
MECHANISMS = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})
ALARMS = "/api/health/checks/alarms"  # of RabbitMQ's management, whatever path its node is given with


def _mqtt(row: Row) -> Made:
    """Kuma only listens on its topic, and a check here sends to it: on a topic of production that would do harm."""
    host = str(row.get("hostname") or "")
    scheme = found[1].lower() if (found := SCHEME.match(host)) else "mqtt"
    behind: list[Text] = []
    if row.get("mqtt_topic"):
        behind.append(
            _(
                "Its topic stays behind: Uptime Kuma listens there, and a check here would send to it. It connects and logs in."
            )
        )
    if row.get("mqtt_success_message") or row.get("mqtt_check_type") == "json-query" or conditions_of(row):
        behind.append(_("What it expects of a message stays behind."))
    settings = {
        "host": SCHEME.sub("", host),
        "port": integer(row.get("port")),
        **(tls(is_verified=True) if scheme == "mqtts" else PLAIN),
        "username": row.get("mqtt_username"),
        "password": row.get("mqtt_password"),
    }
    refusal = "" if scheme in ("mqtt", "mqtts") else _("It goes over “%(scheme)s”; no check of MQTT here does.")
    return Made("mqtt", settings, behind, refusal and refusal % {"scheme": scheme})


def _kafka(row: Row) -> Made:
    """Kuma sends a message to its topic, and a check here looks at the topic: nobody downstream sees a probe."""
    brokers, login = _texts(row.get("kafka_producer_brokers")), object_of(row.get("kafka_producer_sasl_options"))
    first = brokers[0] if brokers else ""
    behind: list[Text] = [
        _("Its message stays behind: a check here looks at the topic and its partitions, and sends nothing.")
    ]
    behind += [_("Of its brokers only the first is asked.")] if len(brokers) > 1 else []
    settings = {
        "host": host_of(first),
        "port": port_of(first),
        **(tls(is_verified=True) if is_true(row.get("kafka_producer_ssl")) else PLAIN),
        "topic": row.get("kafka_producer_topic"),
    }
    if is_true(row.get("kafka_producer_allow_auto_topic_creation")):
        del settings["topic"]
        behind.append(_("Its topic stays behind: it may be one that only its message makes."))
    given = login if isinstance(login, Mapping) else {}
    mechanism = str(given.get("mechanism") or "None")
    if mechanism == "None":
        return Made("kafka", settings, behind)
    settings |= {"mechanism": mechanism.upper(), "username": given.get("username"), "password": given.get("password")}
    refusal = _("It logs in with “%(mechanism)s”; no check of Kafka here does.") % {"mechanism": mechanism[:60]}
    return Made("kafka", settings, behind, "" if mechanism.upper() in MECHANISMS else refusal)


def _rabbitmq(row: Row) -> Made:
    """Kuma asks the management's interface whether there is an alarm, on the nodes in turn until one says no."""
    nodes = _texts(row.get("rabbitmq_nodes"))
    settings = {
        "url": _alarms_of(nodes[0] if nodes else ""),
        "method": "GET",
        "expected_status": "200",
        **basic_login(row.get("rabbitmq_username"), row.get("rabbitmq_password")),
    }
    return Made("http", settings, [_("Of its nodes only the first is asked.")] if len(nodes) > 1 else [])


def _alarms_of(node: str) -> str:
    try:
        parts = urlsplit(node)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}{ALARMS}" if parts.netloc else ""


def _texts(value: Any) -> list[str]:
    found = object_of(value)
    return [str(part) for part in found] if isinstance(found, list) else []


def _browser(row: Row) -> Made:
    url = str(row.get("url") or "")
    return Made("browser", {"steps": [f"goto {shlex.quote(url)}"] if url else []})


BROKERS: Mapping[str, Callable[[Row], Made]] = {
    "mqtt": _mqtt,
    "kafka-producer": _kafka,
    "rabbitmq": _rabbitmq,
    "real-browser": _browser,
}
