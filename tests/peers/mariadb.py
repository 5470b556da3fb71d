"""A real MariaDB of the tests' own."""

import getpass
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trustme

from tests.peers.certificates import tls_files
from tests.peers.debian import need
from tests.peers.process import free_port, running, short_folder

PASSWORD = "pässwörd ' of 1"
SETUP = """
CREATE DATABASE shop;
CREATE TABLE shop.orders (id int, state text);
INSERT INTO shop.orders VALUES (1, 'open'), (2, 'stuck'), (3, NULL);
CREATE DATABASE vault;
CREATE USER probe IDENTIFIED VIA mysql_native_password USING PASSWORD('{password}');
CREATE USER nopassword;
CREATE USER modern IDENTIFIED VIA ed25519 USING PASSWORD('{password}');
GRANT ALL ON shop.* TO probe, nopassword, modern;
FLUSH PRIVILEGES;
"""


@dataclass(frozen=True)
class MariaDb:
    """Database `shop` has a table `orders` with three rows that `probe` may read and write."""

    port: int
    client: str
    socket: str

    def is_ready(self) -> bool:
        """Return whether it takes connections at its socket, which it opens after its port."""
        with socket.socket(socket.AF_UNIX) as link:
            return link.connect_ex(self.socket) == 0

    def run(self, statements: str) -> str:
        """Run statements as root and return what they print."""
        command = [self.client, "--no-defaults", "--socket", self.socket, "-u", "root", "-N"]
        return subprocess.run(command, input=statements, text=True, capture_output=True, check=True).stdout


@contextmanager
def mariadb(authority: trustme.CA) -> Iterator[MariaDb]:
    """Run MariaDB for the block, with TLS."""
    server = need("mariadbd", package="mariadb-server")
    install = need("mariadb-install-db", package="mariadb-server")
    client = need("mariadb", package="mariadb-client")
    user = getpass.getuser()
    with short_folder() as folder:
        data, files = folder / "data", tls_files(authority, folder)
        subprocess.run(
            [
                install,
                "--no-defaults",
                f"--datadir={data}",
                f"--user={user}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        made = MariaDb(free_port(), client, str(folder / "server.sock"))
        command = [
            server,
            "--no-defaults",
            f"--datadir={data}",
            f"--user={user}",
            f"--port={made.port}",
            "--bind-address=127.0.0.1",
            f"--socket={made.socket}",
            f"--pid-file={folder}/server.pid",
            f"--ssl-cert={files.certificate}",
            f"--ssl-key={files.key}",
            "--plugin-load-add=auth_ed25519",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-name-resolve",
        ]
        with running(command, port=made.port, folder=folder, is_ready=made.is_ready):
            made.run(SETUP.format(password=PASSWORD.replace("'", "''")))
            yield made
