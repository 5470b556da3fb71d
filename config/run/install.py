"""What database and static files need before the product may serve; a process of its own.

The supervisor runs it once per start: static files, migrations as the owner, first tenant, example.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

from config.run.paths import FIRST_RUN_FILE, PROJECT, var_folder
from config.run.private_files import write_private

# Files of packages that no page of ours uses; some refer to files that they do not ship.
NOT_SERVED = ("django_htmx", "rest_framework")
FIRST_RUN_KEYS = ("url", "email", "password", "api_key", "status_page_url")


def main() -> None:
    """Do all steps; safe to repeat."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
    django.setup()
    collect_static()
    call_command("migrate", database="owner", interactive=False, verbosity=1)
    make_first_tenant(var_folder() / FIRST_RUN_FILE)
    if example := os.environ.get("EXAMPLE_URL"):
        call_command("provision_example", example)


def collect_static() -> None:
    """Run collectstatic when a source file or a pinned package changed."""
    stamp = Path(settings.STATIC_ROOT) / ".stamp"
    wanted = _fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    call_command("collectstatic", interactive=False, verbosity=0, clear=True, ignore_patterns=list(NOT_SERVED))
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)


def _fingerprint() -> str:
    digest = hashlib.sha256((PROJECT / "requirements" / "base.txt").read_bytes())
    for path in sorted((PROJECT / "static").rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(PROJECT)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def make_first_tenant(file: Path) -> None:
    """Keep what a person or a script needs to start; a password is told once, so old values stay."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    output = io.StringIO()
    call_command("provision_first_tenant", "--json", stdout=output)
    told = {key: value for key, value in json.loads(output.getvalue() or "{}").items() if value}
    url = settings.PUBLIC_URL
    if tenant := told.get("tenant"):
        # The first tenant's page carries its name.
        told["status_page_url"] = f"{url}/status/{tenant}/"
    merged = {**known, **told, "url": url}
    write_private(file, json.dumps({key: merged.get(key, "") for key in FIRST_RUN_KEYS}, indent=2) + "\n")


if __name__ == "__main__":
    main()
