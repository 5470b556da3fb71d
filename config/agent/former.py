"""What former agents of this machine left in the state folder: nobody takes their results any more."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from uuid import UUID

from apps.core import clock
from config.agent.buffer import MAX_AGE, SUFFIX, lock_folder
from config.agent.errors import AgentError

logger = logging.getLogger(__name__)


def forget_former(state_dir: Path, *, own: Path) -> None:
    """Delete results that are too old for any server, of agents that do not run here now. Never fails: it is housekeeping.

    Rival: such an agent that starts at this moment. The folder's lock keeps us out, or has it wait a moment for us.
    """
    with contextlib.suppress(OSError):
        for folder in state_dir.iterdir():
            if folder != own and _is_agent(folder.name) and not folder.is_symlink():
                with contextlib.suppress(OSError, AgentError):  # such as of a file that its agent has just handed over
                    _forget(folder)


def _is_agent(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _too_old(folder: Path) -> list[Path]:
    oldest = clock.now().timestamp() - MAX_AGE.total_seconds()
    return [path for path in folder.glob(f"*{SUFFIX}") if path.stat().st_mtime < oldest]


def _forget(folder: Path) -> None:
    if not _too_old(folder):
        return
    held = lock_folder(folder, patience_seconds=0)
    try:
        old = _too_old(folder)  # by now: whoever held it may have been at work
        for path in old:
            path.unlink()
        if old:
            logger.info("%d files of results that are too old for any server were deleted from %s", len(old), folder)
    finally:
        os.close(held)
