"""BIND with a small tree of zones: a root, signed and unsigned zones below it, and some whose signatures are wrong."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.peers.debian import need
from tests.peers.process import OUTPUT, free_port, running

SOA = "@ 300 IN SOA ns.test. admin.test. 1 3600 600 86400 60\n@ 300 IN NS ns.test.\n"
RECORDS = """
www 300 IN A 192.0.2.1
www 300 IN A 192.0.2.2
www 300 IN AAAA 2001:db8::1
alias 300 IN CNAME www
@ 300 IN MX 10 mail
@ 300 IN MX 20 Backup.Mail.test.
@ 300 IN TXT "v=spf1 " "-all"
@ 300 IN CAA 0 issue "letsencrypt.org"
_sip._tcp 300 IN SRV 1 2 5060 sip
*.wild 300 IN A 192.0.2.7
known.wild 300 IN A 192.0.2.8
dangling 300 IN CNAME nowhere
old 300 IN DNAME @
"""
HUGE = "huge 300 IN TXT " + " ".join(f'"{number:0250d}"' for number in range(200)) + "\n"
CHILDREN = ("signed.test", "plain.test", "forged.test", "expired.test", "misled.test", "hashed.test", "optout.test")
UNSIGNED = "plain.test"
# These deny by NSEC3, the second one without a word on what it delegates unsigned.
HASHED = {"hashed.test": ["-3", "ab12", "-H", "3"], "optout.test": ["-3", "-", "-H", "0", "-A"]}
OPTIONS = """
options {{
  directory "{folder}"; pid-file "{folder}/named.pid"; session-keyfile "{folder}/session.key";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  listen-on port {tls_port} tls own {{ 127.0.0.1; }};
  recursion no; dnssec-validation no; notify no; minimal-responses yes;
}};
tls own {{ cert-file "{folder}/cert.pem"; key-file "{folder}/key.pem"; }};
controls {{ }};
"""


@dataclass(frozen=True)
class NameServer:
    """A running server. ``anchor`` is the DS record of its root zone."""

    port: int
    tls_port: int
    anchor: str


@contextmanager
def name_server(folder: Path, authority: trustme.CA) -> Iterator[NameServer]:
    """Run BIND with its zones in ``folder``."""
    named = need("named", package="bind9")
    need("dnssec-signzone", package="bind9-utils")
    _write_zones(folder)
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    port, tls_port = free_port(), free_port()
    zones = "".join(
        f'zone "{zone}" {{ type primary; file "{_file(zone)}.signed"; }};\n' for zone in (".", "test", *CHILDREN)
    )
    (folder / "named.conf").write_text(OPTIONS.format(folder=folder, port=port, tls_port=tls_port) + zones)
    command = [named, "-g", "-c", str(folder / "named.conf")]
    with running(command, port=(port, tls_port), folder=folder, is_ready=lambda: _has_loaded(folder)):
        yield NameServer(port, tls_port, (folder / "dsset-.").read_text())


def _has_loaded(folder: Path) -> bool:
    """Return whether all zones are loaded: before that, answers are failures."""
    return " running\n" in (folder / OUTPUT).read_text(errors="replace")


def _write_zones(folder: Path) -> None:
    for zone in CHILDREN:
        (folder / _file(zone)).write_text(f"$ORIGIN {zone}.\n{SOA}{RECORDS}{HUGE}")
        _sign(folder, zone)
    _tamper(folder / "forged.test.signed", r"192\.0\.2\.1\b", "192.0.2.66")
    _tamper(folder / "dsset-misled.test.", r"[0-9A-F]{8}$", "00000000")
    delegations = "".join(f"{zone}. 300 IN NS ns.test.\n" for zone in CHILDREN)
    (folder / _file("test")).write_text(f"$ORIGIN test.\n{SOA}ns 300 IN A 127.0.0.1\n{delegations}")
    _sign(folder, "test")
    (folder / _file(".")).write_text(f"$ORIGIN .\n{SOA}test. 300 IN NS ns.test.\nns.test. 300 IN A 127.0.0.1\n")
    _sign(folder, ".")


def _sign(folder: Path, zone: str) -> None:
    if zone == UNSIGNED:
        (folder / f"{_file(zone)}.signed").write_text((folder / _file(zone)).read_text())
        return
    for flags in (["-f", "KSK"], []):
        _run(folder, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", *flags, zone)
    dates = ["-s", "20200101000000", "-e", "20200201000000"] if zone == "expired.test" else []
    origin = zone if zone == "." else f"{zone}."
    _run(
        folder,
        "dnssec-signzone",
        "-S",
        "-P",
        "-g",
        *dates,
        *HASHED.get(zone, ()),
        "-o",
        origin,
        "-f",
        f"{_file(zone)}.signed",
        _file(zone),
    )


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)


def _tamper(path: Path, pattern: str, replacement: str) -> None:
    text = path.read_text()
    changed = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    assert changed != text
    path.write_text(changed)


def _file(zone: str) -> str:
    return "root" if zone == "." else zone
