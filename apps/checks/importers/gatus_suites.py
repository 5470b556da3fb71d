"""Gatus' suites: endpoints that are asked one after the other become the steps of one check.

What a suite does with them was read in its source: config/suite/suite.go of TwiN/gatus.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import MAX_ENTRIES
from apps.checks.importers.gatus_context import CONTEXT, VALUE, Context, Unsayable, refuse_variables
from apps.checks.importers.gatus_endpoints import Endpoint, Made, client_of, conditions_of, made_of
from apps.checks.importers.wish import is_true, seconds, text_pairs
from apps.checks.types.hiding import OPEN_HEADERS
from apps.checks.types.http_fields import check_conditions_field
from apps.checks.types.multistep import MultistepConfig
from apps.checks.types.rule_lines import MAX_RULES
from apps.checks.types.steps import MAX_NAME, MAX_STEPS
from apps.core.kinds import ConfigErrors, Text, parse_config

USUAL_INTERVAL = 600  # seconds, as the two below
USUAL_TIMEOUT = 300
USUAL_CLIENT_TIMEOUT = 10
UNREACHED = re.compile(r"\[CONNECTED\]\s*(?:==\s*false|!=\s*true)|\[STATUS\]\s*==\s*0", re.IGNORECASE)
HOST = re.compile(rf"(?:https?://)?{VALUE.pattern}", re.ASCII | re.IGNORECASE)
# One setting for all steps, and what an endpoint's client calls it.
SHARED: Mapping[str, tuple[str, ...]] = {
    "client.insecure": ("verify_tls",),
    "client.ignore-redirect": ("follow_redirects",),
    "client.proxy-url": ("proxy", "proxy_username", "proxy_password"),
}
OF_A_STEP = frozenset({"url", "method", "headers", "body", "expected_status"})
SAID = OF_A_STEP.union(*SHARED.values())

Placed = Sequence[tuple[str, Endpoint]]  # each with where it stands in the file


@dataclass(slots=True)
class Walk:
    """What a suite becomes. ``losses`` are where, of which endpoint, and what; ``is_maimed`` as a wish has it."""

    settings: dict[str, Any] = field(default_factory=dict)
    timeout_seconds: float = USUAL_TIMEOUT
    is_maimed: bool = False
    losses: list[tuple[str, str, Text]] = field(default_factory=list)


def walk_of(suite: Mapping[str, Any], endpoints: Placed) -> Walk:
    """Return what a suite becomes; raise `Unsayable` where no check can be like it."""
    if not endpoints:
        raise Unsayable(_("It has no endpoints."))
    if len(endpoints) > MAX_STEPS:
        raise Unsayable(_("It has more than %(max)s endpoints.") % {"max": MAX_STEPS})
    walking = _Walking(suite, _secret_paths([endpoint for _where, endpoint in endpoints]))
    for (where, endpoint), read_later in zip(endpoints, _read_after(endpoints), strict=True):
        walking.take(where, endpoint, read_later)
    walk = walking.end()
    limits = [seconds(client_of(endpoint).get("timeout")) or USUAL_CLIENT_TIMEOUT for _where, endpoint in endpoints]
    walk.timeout_seconds = min(seconds(suite.get("timeout")) or USUAL_TIMEOUT, sum(limits))
    return walk


def _read_after(endpoints: Placed) -> list[set[str]]:
    """Return for each endpoint which values those after it read."""
    read: set[str] = set()
    after = []
    for _where, endpoint in reversed(endpoints):
        after.append(set(read))
        read |= {path for text in _texts(endpoint) for path in VALUE.findall(text)}
    return after[::-1]


def _secret_paths(endpoints: Sequence[Endpoint]) -> set[str]:
    """Return which constants may be secrets: those of headers, but for hosts, which every result shows."""
    headers = [pair for endpoint in endpoints for pair in text_pairs(endpoint.get("headers")).items()]
    told = {path for name, value in headers if name.lower() not in OPEN_HEADERS for path in VALUE.findall(value)}
    return told - {found[1] for endpoint in endpoints if (found := HOST.match(str(endpoint.get("url") or "")))}


def _texts(endpoint: Endpoint) -> Iterator[str]:
    for name in ("name", "url", "body"):
        yield str(endpoint.get(name) or "")
    yield from text_pairs(endpoint.get("headers")).values()
    yield from conditions_of(endpoint)


class _Walking:
    """Takes a suite's endpoints in their order, with what each of them knows of those before it."""

    def __init__(self, suite: Mapping[str, Any], secret_paths: set[str]) -> None:
        self._context = Context(suite.get("context"), secret_paths, partial(self._lose, is_decisive=True))
        self._group = str(suite.get("group") or "")
        self._steps: list[dict[str, Any]] = []
        self._made: list[Made] = []
        self._place = ("", "")
        self._walk = Walk()

    def take(self, where: str, endpoint: Endpoint, read_later: set[str]) -> None:
        name = str(endpoint.get("name") or where)
        self._place = where, name
        try:
            step = self._step(endpoint) | {"extract": self._context.store(endpoint.get("store"), read_later)}
        except Unsayable as error:
            raise Unsayable(f"{name[:MAX_NAME]}: {error}") from error
        self._steps.append({"name": name[:MAX_NAME], **{part: value for part, value in step.items() if value}})
        if is_true(endpoint.get("always-run")):
            self._lose(_("It always runs there; here no step follows one that failed."))
        if "enabled" in endpoint and not is_true(endpoint["enabled"]):
            self._lose(_("“%(option)s” stays behind.") % {"option": "enabled"}, is_decisive=True)
        if client_of(endpoint).get("timeout") is not None:
            self._lose(_("Its own time limit stays behind: here one is for all steps together."))

    def end(self) -> Walk:
        settings: dict[str, Any] = {"steps": self._steps, "secrets": self._context.secrets}
        try:
            parse_config(MultistepConfig, settings)
        except ConfigErrors as error:
            raise Unsayable("; ".join(f"{name}: {texts[0]}" for name, texts in error.errors.items())) from error
        self._walk.settings = settings | self._shared()
        return self._walk

    def _lose(self, reason: Text, *, is_decisive: bool = False) -> None:
        if len(self._walk.losses) < MAX_ENTRIES:  # a report has no more lines
            self._walk.losses.append((*self._place, reason))
        self._walk.is_maimed |= is_decisive

    def _shared(self) -> dict[str, Any]:
        """Return what is one for all steps, as far as the endpoints agree on it."""
        shared: dict[str, Any] = {}
        for option, names in SHARED.items():
            wanted = [[made.settings.get(name) for name in names] for made in self._made]
            if all(one == wanted[0] for one in wanted):
                shared |= dict(zip(names, wanted[0], strict=True))
            else:
                text = _("Its endpoints differ in “%(option)s”, which is one for all steps here.")
                self._lose(text % {"option": option}, is_decisive=True)
        return shared

    # --- A step ---

    def _step(self, endpoint: Endpoint) -> dict[str, Any]:
        for text in _texts(endpoint):
            refuse_variables(text)
        headers = {name: self._context.filled(value) for name, value in text_pairs(endpoint.get("headers")).items()}
        texts = {
            "url": self._context.address(str(endpoint.get("url") or "")),
            "body": self._context.filled(str(endpoint.get("body") or "")),
        }
        made = made_of({**endpoint, **texts, "headers": headers, "group": self._group})
        if made is None or made.kind != "http":
            url = str(endpoint.get("url"))[:80]
            raise Unsayable(_("“%(url)s” is not asked over HTTP, as all steps of a check are.") % {"url": url})
        self._made.append(made)
        self._name_others(made)
        settings = made.settings
        return {
            **{name: settings.get(name) for name in ("url", "method", "expected_status")},
            "headers": {name: self._context.sealed(name, value) for name, value in settings["headers"].items()},
            # As an object, so that values are put into the texts of its JSON and cannot break it.
            "body": json.loads(settings["body"]) if is_true(endpoint.get("graphql")) else settings["body"],
            "conditions": list(self._conditions(conditions_of(endpoint))),
        }

    def _name_others(self, made: Made) -> None:
        """Name what an HTTP check may have of an endpoint and a step has not."""
        others = {
            "client.oauth2" if name.startswith(("auth", "oauth")) else name: name in made.idle
            for name, value in made.settings.items()
            if name not in SAID and value not in (None, "", {}, [], False)
        }
        for name, is_idle in others.items():
            self._lose(_("Nothing here does “%(setting)s”.") % {"setting": name[:60]}, is_decisive=not is_idle)

    def _conditions(self, conditions: list[str]) -> Iterator[str]:
        kept = 0
        for condition in conditions:
            if UNREACHED.fullmatch(condition):
                raise Unsayable(_("It is upside down: up means failed. No check here turns its verdict round."))
            said = self._context.condition(condition)
            if said and kept < MAX_RULES and _is_condition(said):
                kept += 1
                yield said
            else:
                text = _("The condition “%(text)s” stays behind.") % {"text": condition[:120]}
                self._lose(text, is_decisive=CONTEXT in condition.upper())
        self._walk.is_maimed |= bool(conditions) and not kept


def _is_condition(condition: str) -> bool:
    try:
        check_conditions_field([condition])
    except ValidationError:
        return False
    return True
