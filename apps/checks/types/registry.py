"""All check types. A new one is a file beside this one and a line here."""

from apps.checks.types.amqp import AmqpCheck
from apps.checks.types.base import CheckType
from apps.checks.types.browser import BrowserCheck
from apps.checks.types.dns import DnsCheck
from apps.checks.types.domain import DomainCheck
from apps.checks.types.drift import DriftCheck
from apps.checks.types.group import GroupCheck
from apps.checks.types.grpc import GrpcCheck
from apps.checks.types.heartbeat import HeartbeatCheck
from apps.checks.types.http import HttpCheck
from apps.checks.types.icmp import IcmpCheck
from apps.checks.types.imap import ImapCheck
from apps.checks.types.kafka import KafkaCheck
from apps.checks.types.mongodb import MongodbCheck
from apps.checks.types.mqtt import MqttCheck
from apps.checks.types.multistep import MultistepCheck
from apps.checks.types.mysql import MysqlCheck
from apps.checks.types.nats import NatsCheck
from apps.checks.types.ntp import NtpCheck
from apps.checks.types.pop3 import Pop3Check
from apps.checks.types.postgresql import PostgresqlCheck
from apps.checks.types.redis import RedisCheck
from apps.checks.types.smtp import SmtpCheck
from apps.checks.types.ssh import SshCheck
from apps.checks.types.statuspage import StatuspageCheck
from apps.checks.types.tcp import TcpCheck
from apps.checks.types.tls import TlsCheck
from apps.checks.types.udp import UdpCheck
from apps.checks.types.websocket import WebsocketCheck
from apps.core.registry import Registry

CHECK_TYPES: Registry[CheckType] = Registry(
    "check types",
    (
        BrowserCheck(),
        DriftCheck(),
        GrpcCheck(),
        HttpCheck(),
        MultistepCheck(),
        StatuspageCheck(),
        WebsocketCheck(),
        DnsCheck(),
        DomainCheck(),
        IcmpCheck(),
        NtpCheck(),
        SshCheck(),
        TcpCheck(),
        TlsCheck(),
        UdpCheck(),
        ImapCheck(),
        Pop3Check(),
        SmtpCheck(),
        MongodbCheck(),
        MysqlCheck(),
        PostgresqlCheck(),
        RedisCheck(),
        AmqpCheck(),
        KafkaCheck(),
        MqttCheck(),
        NatsCheck(),
        HeartbeatCheck(),
        GroupCheck(),
    ),
)
