"""Strict readers of the environment: a wrong value stops the start with one line that names the setting and the mend."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from config.run.errors import RunError
from config.run.given import given, is_on


def text(name: str, default: str = "") -> str:
    """Return ``$NAME``, else the content of the file that ``$NAME_FILE`` names, else the default.

    An empty value counts as not given.
    """
    try:
        return given(name) or default
    except RunError as error:
        raise ImproperlyConfigured(error.problem) from error


def flag(name: str, *, default: bool) -> bool:
    """Return a yes/no setting."""
    try:
        return is_on(name, default=default)
    except RunError as error:
        raise ImproperlyConfigured(error.problem) from error


def integer(name: str, default: int, *, low: int, high: int) -> int:
    """Return a whole number between ``low`` and ``high``."""
    word = text(name).strip()
    if not word:
        return default
    if word.lstrip("-").isdigit() and low <= int(word) <= high:
        return int(word)
    raise ImproperlyConfigured(f"{name}={word!r} is not a whole number from {low} to {high}.")


def choice(name: str, default: str, choices: Iterable[str]) -> str:
    """Return one of the known words."""
    word = text(name, default).strip() or default
    if word in choices:
        return word
    raise ImproperlyConfigured(f"{name}={word!r} is none of: {', '.join(choices)}.")


def words(name: str, default: str = "") -> list[str]:
    """Return a comma-separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def database(name: str, default: str) -> dict[str, Any]:
    """Return Django's connection settings from a ``postgresql://user:password@host:port/name`` address."""
    url = urlsplit(text(name, default))
    try:
        port = url.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} has a port that is not a number.") from error
    if url.scheme not in {"postgresql", "postgres"} or not url.path.strip("/"):
        raise ImproperlyConfigured(f"{name} must read postgresql://user:password@host:port/database.")
    options = {"OPTIONS": dict(parse_qsl(url.query))} if url.query else {}
    return {
        **options,  # such as sslmode=verify-full
        "NAME": unquote(url.path.strip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": unquote(url.hostname or ""),
        "PORT": str(port or 5432),
    }


def mail(name: str) -> dict[str, object]:
    """Return the mail settings from ``smtp://user:password@host:port`` (``smtps://`` for TLS, ``smtp+tls://`` for STARTTLS)."""
    address = text(name)
    if not address:
        return {}
    url = urlsplit(address)
    if url.scheme not in {"smtp", "smtps", "smtp+tls"} or not url.hostname:
        raise ImproperlyConfigured(f"{name} must read smtp://, smtps:// or smtp+tls://user:password@host:port.")
    return {
        "EMAIL_HOST": url.hostname,
        "EMAIL_PORT": url.port or {"smtp": 25, "smtps": 465, "smtp+tls": 587}[url.scheme],
        "EMAIL_HOST_USER": unquote(url.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(url.password or ""),
        "EMAIL_USE_SSL": url.scheme == "smtps",
        "EMAIL_USE_TLS": url.scheme == "smtp+tls",
    }
