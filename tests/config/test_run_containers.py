"""The containers get every setting that there is, so that docker/.env can give it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.reference import settings_read
from config.run.paths import PROJECT

DOCKER = PROJECT / "docker"
# Settings that not every container of ours is to have: those that have them.
ONLY_IN = {
    "DATABASE_OWNER_URL": {"web"},  # it alone changes the schema
    "FIRST_EMAIL": {"web"},
    "PROBE_REGION": {"checker"},
    "PROBE_CONTROLS": {"checker"},
    "PING_MAIL_HOST": {"mail"},
    "PING_MAIL_CERTIFICATE": {"mail"},
    "PING_MAIL_KEY": {"mail"},
    # In docker/.env these two are the ports outside; inside they stay what they are.
    "PORT": set(),
    "PING_MAIL_PORT": set(),
    "OBSERA_VAR": set(),  # the image's own
    # As docker/postgres/roles.sh makes them.
    "DB_APP_ROLE": set(),
    "DB_SYSTEM_ROLE": set(),
}
# What docker/.env does not give under the setting's own name: made of passwords, or no choice.
COMPOSED = {
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "PING_MAIL_HOST",
    "OBSERA_VAR",
    "DB_APP_ROLE",
    "DB_SYSTEM_ROLE",
}
PASSWORDS = {"POSTGRES_PASSWORD", "OWNER_PASSWORD", "APP_PASSWORD", "REDIS_PASSWORD"}
SETTINGS = {line.name for line in settings_read()}


@pytest.fixture(scope="module")
def environments() -> dict[str, dict[str, str]]:
    """What each container of ours gets."""
    composed: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yml").read_text(encoding="utf-8"))
    return {name: each["environment"] for name, each in composed["services"].items() if "build" in each}


def filled(value: str, given: dict[str, str]) -> str:
    """The value as Compose makes it: ${NAME:-default} and ${NAME:?message}, the inner ones first."""
    while found := re.search(r"\$\{(\w+):([-?])([^${}]*)\}", value):
        name, kind, rest = found.groups()
        value = value.replace(found[0], given.get(name) or (rest if kind == "-" else f"<{name}>"))
    return value


def test_every_setting_reaches_the_containers_that_are_to_have_it(environments: dict[str, dict[str, str]]) -> None:
    reached = {name: {part for part, given in environments.items() if name in given} for name in SETTINGS}

    assert reached == {name: ONLY_IN.get(name, set(environments)) for name in SETTINGS}


def test_value_of_the_file_arrives_unchanged(environments: dict[str, dict[str, str]]) -> None:
    given = {name: f"given for {name}" for name in SETTINGS}

    arrived = {
        name: filled(value, given)
        for environment in environments.values()
        for name, value in environment.items()
        if name in SETTINGS - COMPOSED
    }

    assert arrived == {name: given[name] for name in SETTINGS - COMPOSED - {"PORT", "PING_MAIL_PORT"}}


def test_example_names_what_can_be_given_and_nothing_else() -> None:
    example = re.findall(r"^#?(\w+)=", (DOCKER / "example.env").read_text(encoding="utf-8"), re.MULTILINE)
    asked = set(re.findall(r"\$\{(\w+):", (DOCKER / "compose.yml").read_text(encoding="utf-8")))

    assert len(example) == len(set(example))
    assert set(example) == asked == (SETTINGS - COMPOSED) | PASSWORDS


def test_what_is_not_filled_in_is_as_if_it_were_not_there(
    environments: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    """Containers get empty values: the settings must come out as without them, but for what containers want otherwise."""
    empty = {name for each in environments.values() for name, value in each.items() if filled(value, {}) == ""}
    code = """
import json
from django.conf import settings
settings.configure(USE_I18N=False)
from config.settings import base
print(json.dumps({name: repr(value) for name, value in vars(base).items() if name.isupper()}))
"""
    found = []
    for given in ({}, dict.fromkeys(empty & SETTINGS, "")):
        clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        environment = {**clean, **given, "OBSERA_VAR": str(tmp_path)}
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
        )
        found.append(json.loads(result.stdout))

    assert len(empty & SETTINGS) >= 18
    assert found[0] == found[1]


def test_address_follows_the_port_until_it_is_given(environments: dict[str, dict[str, str]]) -> None:
    url = environments["web"]["PUBLIC_URL"]

    assert filled(url, {}) == "http://localhost:8000"
    assert filled(url, {"PORT": "9000"}) == "http://localhost:9000"
    assert filled(url, {"PORT": "9000", "PUBLIC_URL": "https://a.example"}) == "https://a.example"


def test_secrets_of_the_containers_are_not_in_the_image() -> None:
    left_out = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()

    assert {"docker", "var", ".git"} <= set(left_out)
