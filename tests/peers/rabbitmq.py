"""A real RabbitMQ of the tests' own, over TCP and TLS."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import amqp
import trustme

from tests.peers.certificates import TlsFiles, tls_files
from tests.peers.debian import need
from tests.peers.process import free_port, running, short_folder

USER, PASSWORD = "probe", "pässword"


@dataclass(frozen=True)
class RabbitMq:
    """The ports. Virtual host ``shop`` has a queue `orders` with three messages; ``vault`` is closed to `USER`."""

    port: int
    tls_port: int

    def client(self) -> amqp.Connection:
        made = amqp.Connection(f"127.0.0.1:{self.port}", userid=USER, password=PASSWORD, virtual_host="shop")
        made.connect()
        return made


@contextmanager
def rabbitmq(authority: trustme.CA) -> Iterator[RabbitMq]:
    """Run RabbitMQ for the block, and the small name server that Erlang wants."""
    need("rabbitmq-server", package="rabbitmq-server")
    names = need("epmd", package="erlang-base")
    with short_folder() as folder:
        ports, files, names_port = RabbitMq(free_port(), free_port()), tls_files(authority, folder), free_port()
        (folder / "definitions.json").write_text(json.dumps(_definitions()))
        (folder / "rabbitmq.conf").write_text(_configuration(ports, files, folder))
        (folder / "plugins").write_text("[].\n")
        env = {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"obsera{ports.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        # Debian's command of that name changes the user; the one behind it does not.
        server = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        with (
            running([names, "-port", str(names_port)], port=names_port, folder=folder, env=env),
            running([server], port=(ports.port, ports.tls_port), folder=folder, env=env),
        ):
            _fill(ports)
            yield ports


def _definitions() -> dict[str, Any]:
    salt = b"salt"
    hashed = base64.b64encode(salt + hashlib.sha256(salt + PASSWORD.encode()).digest()).decode()
    rights = {"user": USER, "configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [
            {"name": USER, "password_hash": hashed, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""}
        ],
        "vhosts": [{"name": "shop"}, {"name": "vault"}],
        "permissions": [{**rights, "vhost": "shop"}],
        "queues": [{"name": "orders", "vhost": "shop", "durable": True, "auto_delete": False, "arguments": {}}],
    }


def _configuration(ports: RabbitMq, files: TlsFiles, folder: Path) -> str:
    return f"""
listeners.tcp.1 = 127.0.0.1:{ports.port}
listeners.ssl.1 = 127.0.0.1:{ports.tls_port}
ssl_options.cacertfile = {files.authority}
ssl_options.certfile = {files.certificate}
ssl_options.keyfile = {files.key}
ssl_options.verify = verify_none
load_definitions = {folder}/definitions.json
log.console = true
"""


def _fill(ports: RabbitMq) -> None:
    with ports.client() as client, client.channel() as channel:
        for number in range(3):
            channel.basic_publish_confirm(amqp.Message(f"order {number}"), routing_key="orders")
