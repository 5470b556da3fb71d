"""The whole product on a stage: served as `make run` serves it, with a mail server, a Slack and a breakable target."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from bench._product import Product, running_product
from tests.peers import slack as slack_peer
from tests.peers.receiver import Heard, Receiver, Say, listening
from tests.peers.smtp import Mailbox, mail_server

PATIENCE_SECONDS = 120.0  # only a bound against hanging


@dataclass
class Target:
    """A web server whose paths can be broken and slowed down one by one."""

    broken: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    port: int = 0

    def __call__(self, _number: int, heard: Heard) -> Say:
        if heard.path in self.broken:
            return Say(503, b"out of order")
        return Say(200, b"all is well", delay_seconds=0.4 if heard.path in self.slow else 0.0)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@dataclass
class Stage:
    """A running product and everything around it."""

    product: Product
    mailbox: Mailbox
    slack: Receiver
    target: Target

    @property
    def url(self) -> str:
        return f"http://localhost:{self.product.port}"

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask the API with the first owner's key; its parsed answer."""
        headers = {
            "Authorization": f"Bearer {self.product.first_run['api_key']}",
            "Content-Type": "application/json",
        }
        connection = http.client.HTTPConnection("localhost", self.product.port, timeout=PATIENCE_SECONDS)
        connection.request(method, f"/api/v1/{path}", None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text or b"null")

    def make_check(self, name: str, path: str, **settings: object) -> str:
        """Create a check on a path of the target; its id."""
        config = {"url": self.target.url(path)}
        timing = {"interval_seconds": 10, "retries": 0}
        made = self.call("POST", "checks/", {"name": name, "kind": "http", "config": config, **timing, **settings})
        return str(made["id"])

    def await_state(self, check_id: str, state: str) -> None:
        def is_there() -> bool:
            return bool(self.call("GET", f"checks/{check_id}/")["state"] == state)

        await_true(is_there, f"{check_id} never became {state}")

    def slack_url(self) -> str:
        return self.slack.url("/services/T0/B0/key")

    def slack_texts(self) -> list[str]:
        return [heard.body.decode() for heard in list(self.slack.heard)]

    def await_slack(self, *words: str) -> str:
        """Wait for a message to Slack with all these words; its JSON."""
        return await_some(lambda: _with(words, self.slack_texts()), f"Slack never heard {words}")

    def letters_to(self, address: str) -> list[EmailMessage]:
        pairs = zip(list(self.mailbox.letters), list(self.mailbox.recipients), strict=False)
        return [letter for letter, recipients in pairs if address in recipients]

    def await_letter(self, address: str, *words: str) -> str:
        """Wait for a letter to the address with all these words in its subject or text; both of them."""
        return await_some(
            lambda: _with(words, map(text_of, self.letters_to(address))), f"no letter to {address} with {words}"
        )


def _with(words: tuple[str, ...], texts: Iterable[str]) -> list[str]:
    return [text for text in texts if all(word in text for word in words)]


def text_of(letter: EmailMessage) -> str:
    """Return the subject and the plain text."""
    body = letter.get_body(("plain",))
    return f"{letter['Subject']}\n{body.get_content() if body else ''}"


def link_in(text: str, part: str) -> str:
    """Return the first address in a letter that contains ``part``."""
    links: list[str] = re.findall(r"https?://\S+", text)
    return next(link for link in links if part in link)


def await_true(condition: Callable[[], bool], problem: str, seconds: float = PATIENCE_SECONDS) -> None:
    await_some(lambda: ["yes"] if condition() else [], problem, seconds)


def await_some(look: Callable[[], Iterable[str]], problem: str, seconds: float = PATIENCE_SECONDS) -> str:
    """Look again and again until there is something; the first of it."""
    deadline = time.monotonic() + seconds
    while True:
        for found in look():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(problem)
        time.sleep(0.2)


@contextmanager
def stage(**environment: str) -> Iterator[Stage]:
    """Serve the product from an empty folder, with its surroundings, for the block."""
    target = Target()
    with mail_server() as mailbox, slack_peer.slack() as slack, listening(target) as web:
        target.port = web.port
        with running_product(EMAIL_URL=f"smtp://127.0.0.1:{mailbox.port}", **environment) as product:
            yield Stage(product, mailbox, slack, target)
