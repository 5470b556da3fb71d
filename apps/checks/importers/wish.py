"""A monitor of another product in neutral words, and its way into an entry of a configuration document.

Kinds and settings are looked up in the check types, so that an importer may wish for what exists only later: until then
the report says that it does not come over.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from heapq import nsmallest
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import MAX_ENTRIES, Found, Loss
from apps.checks.importers.numbering import Numbering
from apps.checks.importers.windows import MAX_WINDOWS, SECTION, UNCOVERED, Unsaid, Window, Windows
from apps.checks.types.registry import CHECK_TYPES
from apps.core.kinds import Config, ConfigErrors, Text, number_bounds, parse_config

NO_SETTINGS: Mapping[str, Any] = {}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)")
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
LIMITS = {
    "interval_seconds": (10, 86_400),
    "timeout_seconds": (1, 60),
    "retries": (0, 10),
    "retry_interval_seconds": (1, 3_600),
}
MOST = 1_000_000_000  # beyond any setting: larger numbers are taken for this one, for they fit no arithmetic
LONGEST_DURATION = 40  # as a text; to look for units in a longer one could take hours
UNSAID = frozenset({"", "0", "0.0", "false", "no", "off", "none", "null", "[]", "{}"})
MAX_NAME = 150
MAX_TAG = 40
MAX_TAGS = 20
MAX_UNKNOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a monitor wants. ``settings`` are named as ours; a value of None, empty or False is no wish.

    ``kind`` may not exist yet. Times are seconds; what is None takes our default. Where one of the settings that it
    ``needs`` does not come over, or ``is_maimed`` says so, the check comes paused: it would judge something else.
    """

    where: str
    name: str
    source_id: str = ""
    kind: str
    settings: Mapping[str, Any] = field(default_factory=lambda: NO_SETTINGS)
    interval_seconds: float | None = None
    timeout_seconds: float | None = None
    retries: int | None = None
    retry_interval_seconds: float | None = None
    degraded_ms: int | None = None
    tags: tuple[str, ...] = ()
    is_paused: bool = False
    is_maimed: bool = False
    needs: frozenset[str] = frozenset()


class Gathering:
    """Collects wishes and losses; ``prefix`` begins the keys of what has an id at its source.

    ``has_unique_ids``: no two things there have the same id, so that what comes with one again is the same thing.
    """

    def __init__(self, prefix: str, *, has_unique_ids: bool = False) -> None:
        self._prefix = prefix
        self._has_unique_ids = has_unique_ids
        self._marks: set[tuple[str, str]] = set()
        self._checks: dict[str, Mapping[str, Any]] = {}
        self._windows = Windows(prefix)
        self._losses: list[Loss] = []
        self._unlisted = 0
        self._keys = Numbering()

    def lose(self, where: str, name: str, reason: Text, *, is_whole: bool = False) -> None:
        """Report what stays behind; of what does not cost a whole check, as much as there are entries at most."""
        if where and not is_whole and len(self._losses) >= MAX_ENTRIES:
            self._unlisted += 1
        else:
            self._losses.append(Loss(where, name[:MAX_NAME], reason, is_whole))

    def add(self, wish: Wish) -> str:
        """Take a wish as far as it can be carried, and return the key of the check that comes of it, or nothing."""
        if wish.kind not in CHECK_TYPES:
            self.lose(
                wish.where,
                wish.name,
                _("There is no check of kind “%(kind)s” here.") % {"kind": wish.kind},
                is_whole=True,
            )
            return ""
        if not self._marks.isdisjoint(self._marks_of(wish, wish.settings)):
            self.lose(wish.where, wish.name, _("It is in this export twice; it comes over once."), is_whole=True)
            return ""
        config = self._fitted(wish, CHECK_TYPES.get(wish.kind).Config)
        if config is None:
            return ""
        self._marks.update(self._marks_of(wish, config))
        key = self._key(wish)
        entry: dict[str, Any] = {
            "key": key,
            "name": wish.name[:MAX_NAME] or key,
            "kind": wish.kind,
            "config": config,
            **dict(self._timing(wish)),
        }
        if tags := self._tags(wish):
            entry["tags"] = tags
        if wish.is_paused or self._is_maimed(wish, config):
            entry["paused"] = True
        self._checks[key] = entry
        return key

    @property
    def is_full_of_windows(self) -> bool:
        return self._windows.is_full

    def plan(self, window: Window) -> None:
        """Take maintenance, or report that there is no place for it, or nothing that it covers."""
        if not window.checks:
            self.lose(window.where, window.owner, UNCOVERED)
        elif not self._windows.plan(window):
            text = _("An import makes %(count)s maintenance windows at most; plan this one here.")
            self.lose(window.where, window.owner, text % {"count": MAX_WINDOWS})

    def leave(self, where: str, owner: str, unsaid: Unsaid) -> None:
        """Report maintenance that no window here says."""
        text = _("This maintenance stays behind: %(reason)s. Plan it here.")
        self.lose(where, owner, text % {"reason": unsaid.reason})

    def found(self) -> Found:
        text = _("The report ends here; %(count)s more of its lines are left out.") % {"count": self._unlisted}
        end = [Loss("", "", text)] if self._unlisted else []
        windows = self._windows.entries()
        return Found(list(self._checks.values()), self._losses + end, {SECTION: windows} if windows else {})

    def _marks_of(self, wish: Wish, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield what no two checks share: an id, which is its kind's alone, and the address where a job reports."""
        if self._has_unique_ids and wish.source_id:
            yield wish.kind, wish.source_id
        if address := settings.get("address"):
            yield "address", str(address)

    def _key(self, wish: Wish) -> str:
        wanted = (
            slugify(f"{self._prefix}-{wish.source_id}" if wish.source_id else wish.name)[:90].strip("-_") or "check"
        )
        return self._keys.free(wanted, self._checks)

    def _fitted(self, wish: Wish, config: type[Config]) -> Mapping[str, Any] | None:
        """Return the settings that the kind takes; what it refuses is reported, and left out where it may be."""
        known = {entry.name for entry in fields(config)}
        given = {name: value for name, value in wish.settings.items() if value not in (None, "", {}, [])}
        if given.get("auth") and isinstance(given.get("headers"), Mapping):  # one way to sign in, not two
            given["headers"] = {
                name: text for name, text in given["headers"].items() if name.lower() != "authorization"
            }
        for name in [name for name in given if name not in known]:
            if given.pop(name) is not False:
                self.lose(wish.where, wish.name, _("Nothing here does “%(setting)s”.") % {"setting": name})
        self._bring_into_range(wish, config, given)
        while True:
            try:
                parse_config(config, given)
            except ConfigErrors as error:
                refused = {name: texts for name, texts in error.errors.items() if name in given}
                missing = next((f"{name}: {texts[0]}" for name, texts in error.errors.items() if name not in given), "")
                if missing or not refused:
                    self.lose(wish.where, wish.name, missing or str(error), is_whole=True)
                    return None
                for name, texts in refused.items():
                    del given[name]
                    self.lose(wish.where, wish.name, f"{name}: {texts[0]}")
            else:
                return given

    def _is_maimed(self, wish: Wish, config: Mapping[str, Any]) -> bool:
        """Tell, and say, whether something is missing without which the check would judge something else."""
        given = {name for name, value in wish.settings.items() if value not in (None, "", {}, [], False)}
        is_maimed = wish.is_maimed or bool(given & wish.needs - set(config))
        if is_maimed:
            text = _("It comes paused: without what stays behind it would judge something else.")
            self.lose(wish.where, wish.name, text)
        return is_maimed

    def _bring_into_range(self, wish: Wish, config: type[Config], given: dict[str, Any]) -> None:
        """Give numbers beyond what a setting takes its nearest value: closer to what was meant than its default."""
        for name, (low, high) in number_bounds(config).items():
            value = given.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                fitting = max(value, low) if low is not None else value
                fitting = min(fitting, high) if high is not None else fitting
                if fitting != value:
                    given[name] = fitting
                    text = _("%(field)s %(given)s becomes %(value)s.")
                    self.lose(wish.where, wish.name, text % {"field": name, "given": value, "value": fitting})

    def _timing(self, wish: Wish) -> Iterator[tuple[str, int]]:
        for name, (low, high) in LIMITS.items():
            given = getattr(wish, name)
            if given is None:
                continue
            value = min(max(round(given), low), high)
            if value != given:
                self.lose(
                    wish.where,
                    wish.name,
                    _("%(field)s %(given)s becomes %(value)s.")
                    % {"field": name, "given": f"{given:g}", "value": value},
                )
            yield name, value
        if wish.degraded_ms:
            yield "degraded_ms", min(max(wish.degraded_ms, 1), 60_000)

    def _tags(self, wish: Wish) -> list[str]:
        tags = list(dict.fromkeys(tag.strip().lower()[:MAX_TAG] for tag in wish.tags if tag.strip()))
        if len(tags) > MAX_TAGS:
            self.lose(wish.where, wish.name, _("Only 20 of its tags come along."))
        return tags[:MAX_TAGS]


def seconds(value: Any) -> float | None:
    """Return a duration such as 60, "60", "1m30s" or "500ms" in seconds, 10^9 at most; None for anything else."""
    if isinstance(value, int | float):
        is_number = not isinstance(value, bool) and value == value  # NaN is not
        return float(_bounded(value)) if is_number else None
    text = value.strip().lower() if isinstance(value, str) else ""
    if len(text) > LONGEST_DURATION:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(_bounded(float(text)))
    parts = DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        return None
    return float(_bounded(sum(float(number) * SECONDS[unit] for number, unit in parts)))


def integer(value: Any) -> int | None:
    """Return a whole number of 10^9 at most, also out of a text; None for anything else."""
    try:
        return None if isinstance(value, bool) else int(_bounded(int(str(value).strip())))
    except ValueError:
        return None


def _bounded(number: float) -> float:
    return max(-MOST, min(number, MOST))


def plain_id(value: Any) -> int | str | None:
    """Return what may stand for something elsewhere in an export: a whole number or a text; None for anything else."""
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def is_said(value: Any) -> bool:
    """Tell whether a setting says anything in an export: nothing, no, zero and empty lists do not."""
    if isinstance(value, str):
        return value.strip().lower() not in UNSAID
    return bool(value)


def unknown_settings(names: Iterable[str]) -> Text:
    """Return the line of a report that names what an importer does not know."""
    listed = nsmallest(MAX_UNKNOWN + 1, set(names))  # of a crafted export's millions, no more than are shown
    shown = ", ".join(name[:60] for name in listed[:MAX_UNKNOWN]) + (", …" if len(listed) > MAX_UNKNOWN else "")
    return _("These of its settings are not known here and stay behind: %(names)s.") % {"names": shown}


def is_true(value: Any) -> bool:
    """Read a flag as exports write it."""
    return value is True or str(value).strip().lower() in ("1", "true", "yes", "on", "t", "y")


def basic_login(username: Any, password: Any) -> dict[str, Any]:
    """Return the settings of basic authentication, or nothing without a user."""
    return {"auth": "basic", "username": str(username), "password": str(password or "")} if username else {}


def bearer_login(token: Any) -> dict[str, Any]:
    """Return the settings of a bearer token, or nothing without one."""
    return {"auth": "bearer", "token": str(token)} if token else {}


def oauth_login(token_url: Any, client_id: Any, client_secret: Any, scope: Any) -> dict[str, Any]:
    """Return the settings of OAuth 2 client credentials; a list of scopes becomes one text."""
    return {
        "auth": "oauth2",
        "oauth_token_url": token_url,
        "oauth_client_id": client_id,
        "oauth_client_secret": client_secret,
        "oauth_scope": " ".join(map(str, scope)) if isinstance(scope, list) else scope,
    }


def text_pairs(value: Any) -> dict[str, str]:
    """Return a mapping of texts; values that are none are written as such."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): str(part) for name, part in value.items() if not isinstance(part, Mapping | list)}
