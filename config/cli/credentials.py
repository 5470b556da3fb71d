"""Where the product is and the key to it: from the environment, or from a file that only its owner can read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from config.cli.errors import CliError

URL, KEY = "OBSERA_URL", "OBSERA_API_KEY"


@dataclass(frozen=True)
class Credentials:
    """The address without its last slash, and the API key."""

    url: str
    key: str


def credentials_file() -> Path:
    """Return the file, in the folder for settings that the desktop standards name."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "obsera" / "credentials.json"


def keep(credentials: Credentials) -> Path:
    """Write the file with mode 600; its folder gets mode 700. It never exists with more rights, not for a moment."""
    path = credentials_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump({"url": credentials.url, "key": credentials.key}, file)
    fresh.replace(path)
    return path


def find() -> Credentials:
    """Return what the environment or else the file says."""
    url, key = os.environ.get(URL, ""), os.environ.get(KEY, "")
    if not (url and key):
        kept = _read()
        url, key = url or kept.get("url", ""), key or kept.get("key", "")
    if not (url and key):
        raise CliError(f"Nobody has signed in. Run `obsera login`, or set {URL} and {KEY}.")
    return Credentials(url.rstrip("/"), key)


def _read() -> dict[str, str]:
    path = credentials_file()
    try:
        if path.stat().st_mode & 0o077:
            raise CliError(f"Others can read {path}, which holds your key. Run: chmod 600 {path}")
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CliError(f"{path} cannot be read ({error}). Run `obsera login` again.") from error
    return kept if isinstance(kept, dict) else {}
