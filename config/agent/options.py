"""What the agent is told, by options or by the environment; a wrong value is named with what mends it."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apps.checks.domain.agent_wire import AgentToken, parse_token
from apps.checks.domain.agent_words import MOST_PLACES
from apps.checks.domain.wire_fields import WireError
from apps.checks.types.registry import CHECK_TYPES
from apps.core.http.urls import BadUrl, check_url
from config.agent.allowed import AllowList
from config.agent.errors import AgentError, file_error

PREFIX = "OBSERA_AGENT_"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_BUFFER_MIB = 512
MAX_TOKEN_BYTES = 4_096
EXIT_CODES = """exit codes: 0 stopped by a signal; 1 a fault of the agent or its machine; 2 a wrong option, file or
folder; 3 the server refuses the token"""


@dataclass(frozen=True, slots=True)
class Options:
    """Everything an agent is told. ``kinds`` empty means all that are probed."""

    server: str
    token: AgentToken
    state_dir: Path
    allowed: AllowList
    kinds: frozenset[str]
    controls: tuple[str, ...]
    ca_file: str
    buffer_bytes: int
    tells_allow_list: bool = False
    warnings: tuple[str, ...] = ()

    def limits(self) -> dict[str, Any]:
        """Return what the server may know of the allow-list."""
        entries = list(map(str, self.allowed.entries))
        is_told = self.allowed.is_limited and self.tells_allow_list and len(entries) <= MOST_PLACES
        return {"limited": self.allowed.is_limited, "allow": entries if is_told else None}


def read_options(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Options:
    """Return the options or raise `AgentError`; an option on the command line overrides the environment."""
    given = _parser().parse_args(arguments)
    values = {**_from_environment(os.environ if environment is None else environment), **_given(given)}
    token, warnings = _token(values)
    allowed = AllowList(values.get("allow", ()))
    controls = tuple(values.get("control", ()))
    return Options(
        server=_server(_one(values, "server")),
        token=token,
        state_dir=Path(_one(values, "state-dir") or _usual_state_dir()).expanduser(),
        allowed=allowed,
        kinds=_kinds(values.get("kinds", ())),
        controls=tuple(_control(control, allowed) for control in controls),
        ca_file=_ca_file(_one(values, "ca-file")),
        buffer_bytes=_buffer_bytes(_one(values, "buffer-mib")),
        tells_allow_list=_yes("tell-allow-list", _one(values, "tell-allow-list")),
        warnings=tuple(warnings),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="obsera-agent",
        description="Runs checks from this place. Every option is read from the environment too: OBSERA_AGENT_SERVER …",
        epilog=EXIT_CODES,
        allow_abbrev=False,
    )
    option = parser.add_argument
    option("--server", metavar="URL", help="the address of Obsera, such as https://obsera.example")
    option("--token-file", metavar="FILE", help="a file with the agent's token (or OBSERA_AGENT_TOKEN itself)")
    option("--state-dir", metavar="DIR", help="where results wait while the server is away")
    option("--allow", metavar="NETWORK[:PORTS]", action="append", help="what may be probed; may be repeated")
    option("--kinds", metavar="KIND,…", action="append", help="kinds of checks that may be run; without it, all")
    option("--control", metavar="URL", action="append", help="an address that answers whenever this network is well")
    option("--ca-file", metavar="PEM", help="roots to trust for the server instead of the system's")
    option("--tell-allow-list", metavar="yes|no", help="whether the server may show what --allow opens (default: no)")
    option("--buffer-mib", metavar="N", help=f"how much may wait on disk (default: {DEFAULT_BUFFER_MIB})")
    return parser


LISTS = ("allow", "kinds", "control")
NAMES = ("server", "token-file", "state-dir", *LISTS, "ca-file", "buffer-mib", "tell-allow-list")


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    names = {name: f"{PREFIX}{name.upper().replace('-', '_')}" for name in (*NAMES, "token")}
    found = {name: environment[variable] for name, variable in names.items() if environment.get(variable, "").strip()}
    return {name: _parts(name, (text,)) for name, text in found.items()}


def _given(given: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    found = {name: getattr(given, name.replace("-", "_")) for name in NAMES}
    return {
        name: _parts(name, value if isinstance(value, list) else (value,))
        for name, value in found.items()
        if value is not None
    }


def _parts(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Return the single values; those of lists are parted at commas."""
    parted = [part for text in texts for part in (text.split(",") if name in LISTS else [text])]
    return tuple(part.strip() for part in parted if part.strip())


def _one(values: Mapping[str, tuple[str, ...]], name: str) -> str:
    return values[name][0] if values.get(name) else ""


def _server(text: str) -> str:
    if not text:
        raise AgentError(f"--server is missing: give the address of Obsera, or set {PREFIX}SERVER.")
    try:
        address = check_url(text.rstrip("/"))
    except BadUrl as error:
        raise AgentError(f"--server: “{text}” cannot be used. {error}") from error
    if address.scheme == "http" and address.host not in LOOPBACK:
        raise AgentError(f"--server: “{text}” is not encrypted, and secrets of checks come from there. Use https://.")
    if urlsplit(text).query:
        raise AgentError("--server: leave out the question mark and what follows.")
    return address.url.rstrip("/")


def _token(values: Mapping[str, tuple[str, ...]]) -> tuple[AgentToken, list[str]]:
    """Return the token, and what is to be said of how it lies there."""
    path, text = _one(values, "token-file"), _one(values, "token")
    if not path and not text:
        raise AgentError(f"--token-file is missing: name the file with the agent's token, or set {PREFIX}TOKEN.")
    source, warnings = (f"--token-file: {path}", _read_warnings(path)) if path else (f"{PREFIX}TOKEN", [])
    try:
        with open(path or os.devnull, encoding="utf-8") as file:
            content = file.read(MAX_TOKEN_BYTES) if path else text
        return parse_token(content), warnings
    except OSError as error:
        raise file_error(f"{source} cannot be read: {error.strerror}.", error) from error
    except (WireError, UnicodeDecodeError) as error:
        raise AgentError(f"{source} holds no agent's token. Copy it whole; it begins with oba_.") from error


def _read_warnings(path: str) -> list[str]:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return []  # reading it says why
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [f"others than its owner may read {path}, which holds the token; run: chmod 600 {path}"]
    return []


def _kinds(names: Sequence[str]) -> frozenset[str]:
    known = {kind.kind for kind in CHECK_TYPES if kind.is_probed}
    wrong = sorted(set(names) - known)
    if wrong:
        raise AgentError(f"--kinds: there is no kind {', '.join(wrong)}. Known: {', '.join(sorted(known))}.")
    return frozenset(names)


def _control(target: str, allowed: AllowList) -> str:
    """Check a control target: a refused one would never fail, and so hide nothing and help nobody."""
    try:
        address = check_url(target if "://" in target else f"https://{target}/")
    except BadUrl as error:
        raise AgentError(f"--control: “{target}” cannot be used. {error}") from error
    if address.literal_ip and allowed.reason_against(address.literal_ip, address.port):
        raise AgentError(f"--control: “{target}” is not in the allow-list. Name it with --allow, or another target.")
    return address.url


def _ca_file(path: str) -> str:
    if not path:
        return ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            content = file.read()
    except OSError as error:
        raise file_error(f"--ca-file: {path} cannot be read: {error.strerror}.", error) from error
    if "-----BEGIN CERTIFICATE-----" not in content:
        raise AgentError(f"--ca-file: {path} holds no certificate in PEM form.")
    return path


def _yes(name: str, text: str) -> bool:
    if text not in ("", "yes", "no"):
        raise AgentError(f"--{name}: “{text}” is neither yes nor no.")
    return text == "yes"


def _buffer_bytes(text: str) -> int:
    if text and not (text.isdecimal() and 1 <= int(text) <= 1_048_576):
        raise AgentError(f"--buffer-mib: “{text}” is not a whole number from 1 to 1048576.")
    return int(text or DEFAULT_BUFFER_MIB) * 1_048_576


def _usual_state_dir() -> str:
    """Return the folder that systemd made for us, or else the one that the desktop standards name."""
    made = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return made or str(Path(home) / "obsera-agent")
