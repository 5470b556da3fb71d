"""What the environment gives: $NAME, else the content of the file that $NAME_FILE names; standard library only.

An empty value counts as not given, since compose files pass on what nobody filled in. The settings read through here too.
"""

from __future__ import annotations

import os
from pathlib import Path

from config.run.errors import RunError

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


def given(name: str) -> str:
    """The setting, or "" where it is not given; RunError for a file that cannot be read or holds nothing.

    An empty file stops the start: a new database would be begun beside the one that the file was to name.
    """
    value = os.environ.get(name, "")
    if value.strip():
        return value
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not path:
        return ""
    content = _content(name, path)
    if not content:
        raise RunError(
            f"{name}_FILE names {path}, which is empty.", mend=f"write the value into it, or unset {name}_FILE"
        )
    return content


def is_on(name: str, *, default: bool) -> bool:
    """A yes/no setting; RunError for any other word."""
    word = given(name).strip().lower()
    if not word:
        return default
    if word in TRUE_WORDS | FALSE_WORDS:
        return word in TRUE_WORDS
    raise RunError(f"{name}={word!r} is neither yes nor no; write {name}=1 or {name}=0.")


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise RunError(
            f"{name}_FILE names {path}, which cannot be read: {reason}.",
            mend=f"let the user that runs the product read it, or unset {name}_FILE",
        ) from error
