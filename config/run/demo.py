"""`make demo-outage`: break the example service, tell what the product makes of it, mend it again."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from config.run.errors import RunError
from config.run.example import broken_file
from config.run.manage import is_product_running
from config.run.paths import FIRST_RUN_FILE, var_folder

EXAMPLE_TAG = "example"
WATCH_SECONDS = 60.0
BROKEN_SECONDS = 20.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class FirstRun:
    """How to talk to the product that runs here."""

    url: str
    api_key: str
    status_page_url: str


def main(_arguments: list[str]) -> int:
    """Run the demonstration on the running product; it takes about a minute."""
    if not is_product_running():
        raise RunError("Obsera does not run here.", mend="make run        # and in a second terminal: make demo-outage")
    first = _first_run()
    check = _example(first)
    _tell(f"Watch {first.url} or the public page {first.status_page_url}")
    try:
        broken_file().touch()
        broken_at = time.monotonic()
        _tell("The example service is broken: it answers 503 from now on.")
        _await_state(first, check, "down", broken_at)
        _tell("The outage is open, the alert is out, and both pages have changed by themselves.")
        time.sleep(BROKEN_SECONDS)
    finally:
        broken_file().unlink(missing_ok=True)
    mended_at = time.monotonic()
    _tell("The example service is mended.")
    _await_state(first, check, "up", mended_at)
    _tell("The outage is resolved. Its page keeps the timeline.")
    return 0


def _tell(text: str) -> None:
    print(text, flush=True)


def _first_run() -> FirstRun:
    file = var_folder() / FIRST_RUN_FILE
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        return FirstRun(facts["url"], facts["api_key"], facts["status_page_url"])
    except (OSError, KeyError, ValueError) as error:
        raise RunError(f"{file} cannot be read.", mend="stop `make run` and start it again") from error


def _example(first: FirstRun) -> str:
    """The id of the check on the example service."""
    found = [check for check in _get(first, "/api/v1/checks/?limit=200")["results"] if EXAMPLE_TAG in check["tags"]]
    if not found:
        raise RunError(
            "nothing watches the example service any more.",
            mend=f'create an HTTP check with the tag "{EXAMPLE_TAG}" on its address, interval 10 s',
        )
    return str(found[0]["id"])


def _await_state(first: FirstRun, check: str, wanted: str, since: float) -> None:
    def state() -> str:
        return str(_get(first, f"/api/v1/checks/{check}/")["state"])

    _await(lambda: state() == wanted, f"the check is not {wanted} after {WATCH_SECONDS:.0f} seconds.")
    _tell(f"  {time.monotonic() - since:4.1f} s later the check is {wanted}.")


def _await(condition: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + WATCH_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RunError(problem, mend=f"read {var_folder() / 'log'}")
        time.sleep(POLL_SECONDS)


def _get(first: FirstRun, path: str) -> dict[str, Any]:
    address = urlsplit(first.url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "localhost", address.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {first.api_key}"})
        response = connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            raise RunError(f"{first.url}{path} answers {response.status}.", mend="is the API key revoked?")
        found: dict[str, Any] = json.loads(body)
        return found
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RunError(f"{first.url} does not answer: {error}.", mend="make run") from error
    finally:
        connection.close()
