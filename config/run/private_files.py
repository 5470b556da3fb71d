"""Secrets on disk: readable by their owner only, written whole or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace the file with text under mode 600; a reader sees the old or the new content."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except OSError:  # a full disk must not fill up with halves of it
        os.unlink(name)
        raise


def read_or_create_secret(path: Path, *, size: int = 48) -> str:
    """The secret kept in the file, made on first use.

    The exclusive create guards against a second process that makes it in the same moment.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    secret = secrets.token_urlsafe(size)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secret)
    return secret
