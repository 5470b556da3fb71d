"""Secrets on disk: readable by their owner only, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from pathlib import Path


def write_private(path: Path, text: str, *, is_lasting: bool = False) -> None:
    """Replace the file with text under mode 600; a reader sees the old or the new content.

    ``is_lasting``: the new content is on the disk before it takes the old one's place, so that no power cut empties it.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            if is_lasting:
                file.flush()
                os.fsync(file.fileno())
        os.replace(name, path)
    except OSError:  # a full disk must not fill up with halves of it
        os.unlink(name)
        raise
    if is_lasting:
        _keep_names(path.parent)


def _keep_names(folder: Path) -> None:
    """Have the disk know which file bears which name: else a power cut brings the one before it back."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_or_create_secret(path: Path, *, size: int = 48) -> str:
    """The secret kept in the file, made on first use.

    An empty file counts as none: the first use was cut short. The lock guards against a second process that makes
    the secret in the same moment; who waited for it finds what the first one put in the file's place.
    """
    if kept := kept_secret(path):
        return kept
    lock = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept := kept_secret(path):
            return kept
        secret = secrets.token_urlsafe(size)
        write_private(path, secret, is_lasting=True)
    finally:
        os.close(lock)
    return secret


def kept_secret(path: Path) -> str:
    """The secret in the file; "" where there is none yet."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
