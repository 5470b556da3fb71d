"""Where things live in the project folder."""

from __future__ import annotations

from pathlib import Path

from config.run.given import given

PROJECT = Path(__file__).resolve().parent.parent.parent
VENV = PROJECT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
REQUIREMENTS = PROJECT / "requirements"
NODE_MODULES = PROJECT / "node_modules"
FIRST_RUN_FILE = "first-run.json"
LOCK_FILE = "obsera.lock"


def var_folder() -> Path:
    """The one folder that holds data, secrets and logs; `OBSERA_VAR` moves it."""
    return Path(given("OBSERA_VAR") or PROJECT / "var").absolute()


def private_folder(path: Path) -> Path:
    """The folder, made when missing, closed to other users of the machine."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path
