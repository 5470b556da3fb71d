"""A real Dovecot with one account, over plain TCP, STARTTLS and TLS."""

import getpass
import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.peers.certificates import TlsFiles, tls_files
from tests.peers.debian import need
from tests.peers.process import free_port, running, short_folder

USER, PASSWORD = "probe", 'a "quoted\\ pässword'


@dataclass(frozen=True)
class Dovecot:
    """The ports: with STARTTLS on the plain ones."""

    imap: int
    imaps: int
    pop3: int
    pop3s: int
    folder: Path


@contextmanager
def dovecot(authority: trustme.CA) -> Iterator[Dovecot]:
    """Run Dovecot for the block. The account has two letters in INBOX and an empty folder “Entwürfe & mehr”."""
    server = need("dovecot", package="dovecot-imapd")
    with short_folder() as folder:
        ports = Dovecot(free_port(), free_port(), free_port(), free_port(), folder)
        inbox = folder / "mail" / "new"
        for path in (
            inbox,
            folder / "mail" / "cur",
            folder / "mail" / "tmp",
            folder / "mail" / ".Entw&APw-rfe &- mehr",
        ):
            path.mkdir(parents=True, exist_ok=True)
        for number in (1, 2):
            (inbox / f"{number}.letter").write_text(f"Subject: letter {number}\r\n\r\nhello\r\n")
        (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        configuration = folder / "dovecot.conf"
        configuration.write_text(_configuration(ports, tls_files(authority, folder)))
        _give_to_mail_user(folder)
        every = (ports.imap, ports.imaps, ports.pop3, ports.pop3s)
        with running([server, "-F", "-c", str(configuration)], port=every, folder=folder):
            yield ports


def _mail_user() -> str:
    """Dovecot serves no mail as root."""
    return "nobody" if os.geteuid() == 0 else getpass.getuser()


def _give_to_mail_user(folder: Path) -> None:
    if os.geteuid() == 0:
        owner = pwd.getpwnam(_mail_user())
        for path in (folder / "mail", *(folder / "mail").rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)


def _configuration(ports: Dovecot, tls: TlsFiles) -> str:
    user = _mail_user()
    inner = "" if os.geteuid() == 0 else f"default_internal_user = {user}\ndefault_login_user = {user}\n"
    return f"""{inner}
base_dir = {ports.folder}/run
state_dir = {ports.folder}/state
log_path = {ports.folder}/dovecot.log
listen = 127.0.0.1
protocols = imap pop3
ssl = yes
ssl_cert = <{tls.certificate}
ssl_key = <{tls.key}
disable_plaintext_auth = yes
auth_failure_delay = 0
auth_mechanisms = plain login
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{ports.folder}/mail
login_trusted_networks =
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {ports.folder}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={_group(user)} home={ports.folder}
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {ports.imap}
  }}
  inet_listener imaps {{
    port = {ports.imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {ports.pop3}
  }}
  inet_listener pop3s {{
    port = {ports.pop3s}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  # Nobody is made to wait for the wrong passwords of another test.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


def _group(user: str) -> str:

    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
