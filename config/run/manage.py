"""`make shell` and friends: manage.py on the running product's services, else on its own start of them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

from config.run.front_door import chosen_port
from config.run.locks import is_held
from config.run.paths import LOCK_FILE, PROJECT, private_folder, var_folder
from config.run.serve import base_environment
from config.run.services import product_plan, start_services
from config.run.supervisor import Supervisor
from config.run.testing import run_in_foreground


def main(arguments: list[str]) -> int:
    """Run `manage.py ARGUMENTS $ARGS`."""
    argv = (sys.executable, "manage.py", *arguments, *shlex.split(os.environ.get("ARGS", "")))
    var = private_folder(var_folder())
    if is_product_running():
        found = json.loads((var / "run" / "environment.json").read_text(encoding="utf-8"))
        return subprocess.run(argv, cwd=PROJECT, env={**os.environ, **found}, check=False).returncode
    pid_file = private_folder(var / "run") / "parts.json"
    with Supervisor(logs=var / "log", pid_file=pid_file) as supervisor:
        environment = {**base_environment(chosen_port()), **start_services(product_plan(), supervisor)}
        return run_in_foreground(supervisor, argv, environment)


def is_product_running() -> bool:
    """True while a `make run` holds this var folder's lock."""
    return is_held(var_folder() / "run" / LOCK_FILE)
