"""Which parts of the product a start runs: all of them, or a share, as $PARTS names them."""

from __future__ import annotations

import os

from config.run.errors import RunError
from config.run.given import given
from config.run.paths import var_folder
from config.run.private_files import kept_secret

WEB, MAIL = "web", "mail"
PARTS = (WEB, "probes", "events", "deliveries", "scheduler", MAIL)
# Without the web process nothing here makes a database, a Redis or a secret: all three are those of the others.
SHARED = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")


def chosen_parts() -> tuple[str, ...]:
    """The parts that $PARTS names, or all."""
    named = os.environ.get("PARTS", "").replace(",", " ").split()
    unknown = [name for name in named if name not in PARTS]
    if unknown:
        raise RunError(f"PARTS names {unknown[0]}, which is no part.", mend=f"make run PARTS={','.join(PARTS)}")
    return tuple(part for part in PARTS if part in named) if named else PARTS


def check_shared() -> None:
    """RunError where database, Redis or secret are not given to a share that has no web process."""
    missing = [name for name in SHARED if not _is_given(name)]
    if missing:
        raise RunError(
            f"a start without the part {WEB} works on the database, Redis and secret of the others; not given: "
            f"{', '.join(missing)}.",
            mend="as where web runs, and the database's plain role:\n"
            "make run PARTS=probes DATABASE_URL=postgresql://obsera_app:…@host/obsera REDIS_URL=redis://… SECRET_KEY=…",
        )


def _is_given(name: str) -> bool:
    return bool(given(name)) or (name == "SECRET_KEY" and bool(kept_secret(var_folder() / "secret-key")))
