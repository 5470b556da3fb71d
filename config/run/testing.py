"""`make test` and `test-services`: real services around pytest."""

from __future__ import annotations

import shlex

from config.run.paths import private_folder, var_folder
from config.run.services import start_services, test_plan
from config.run.supervisor import Supervisor

TEST_ENVIRONMENT = {"OBSERA_TEST": "1", "DJANGO_SETTINGS_MODULE": "config.settings.test"}


def test_supervisor() -> Supervisor:
    home = private_folder(var_folder() / "test")
    return Supervisor(logs=home / "log", pid_file=home / "parts.json")


def services_main(_arguments: list[str]) -> int:
    """Run the test services in the foreground; print what to export to use them."""
    with test_supervisor() as supervisor:
        environment = {**start_services(test_plan(), supervisor), **TEST_ENVIRONMENT}
        for name, value in environment.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        supervisor.run()
    return 0
