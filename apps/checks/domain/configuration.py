"""The tenant's checks as one document, and what such a document wants.

The document: ``apiVersion: obsera/v1``, an optional ``managedBy`` label, and ``checks``, each with a ``key`` that stays
when its name changes. Secrets are written as ``${SECRET:…}``, which on the way back means "what is stored there".
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.checks.domain.checks import Timing
from apps.checks.domain.document_keys import BAD_KEY, default_key, is_key
from apps.checks.domain.document_steps import sections
from apps.checks.domain.tags import MANAGED_BY, MAX_LENGTH, clean_tags
from apps.checks.models import Check
from apps.checks.types.registry import CHECK_TYPES
from apps.core.documents import at_key
from apps.core.kinds import MASK, Config, ConfigErrors, dump_config, is_secret_setting, parse_config, unshown_settings

API_VERSION = "obsera/v1"
MAX_CHECKS = 5_000  # one request makes them all
LABEL = re.compile(r"[a-z0-9][a-z0-9._-]*")
SECRET = re.compile(r"\$\{SECRET:[A-Za-z0-9_.-]{1,200}\}")
TIMING_FIELDS = tuple(Timing.__slots__)
CHECK_FIELDS = frozenset({"key", "name", "kind", "config", "tags", "paused", "depends_on", *TIMING_FIELDS})
DOCUMENT_FIELDS = frozenset({"apiVersion", "managedBy", "checks"})


class DocumentErrors(ValueError):
    """The document wants what cannot be; ``errors`` maps each place to its messages."""

    def __init__(self, errors: Mapping[str, list[str | Promise]]) -> None:
        super().__init__(errors)
        self.errors: dict[str, list[str]] = {path: [str(text) for text in texts] for path, texts in errors.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One check of a document; its settings are not yet judged by its kind.

    ``is_paused`` and ``depends_on`` (keys, sorted) are None where the document leaves them as they are.
    """

    path: str
    key: str
    name: str
    kind: str
    config: Mapping[str, Any]
    timing: Timing
    tags: list[str]
    is_paused: bool | None = None
    depends_on: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A check as it stands. ``is_keyed`` tells whether it has the key already or is given it by the document alone.

    ``is_agents`` tells that an agent brought it, to tell of its silence: it is in no export, and nothing prunes it;
    ``agents_above`` are those among its dependencies, which stay whatever a document says.
    """

    id: UUID
    key: str
    name: str
    kind: str
    config: Config
    timing: Timing
    tags: list[str]
    is_paused: bool
    depends_on: tuple[str, ...] = ()
    is_keyed: bool = True
    is_agents: bool = False
    agents_above: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a document wants."""

    entries: list[Entry]
    managed_by: str = ""
    others: Mapping[str, list[Any]] = field(default_factory=dict)  # by section, not judged yet


# --- Reading -----------------------------------------------------------------------------------------------------


def read_configuration(document: Any, *, regions: Mapping[str, int]) -> Configuration:
    """Return what a document wants; raise `DocumentErrors` with everything that is wrong, each at its place.

    ``regions`` are the ids of the regions that may be chosen, by code.
    """
    errors: dict[str, list[str | Promise]] = {}
    if not isinstance(document, Mapping):
        raise DocumentErrors({"": [_("Begin with “apiVersion: obsera/v1” and a list “checks”.")]})
    _refuse_unknown(document, DOCUMENT_FIELDS | set(sections()), "", errors)
    if document.get("apiVersion") != API_VERSION:
        errors["apiVersion"] = [_("Write “apiVersion: obsera/v1”.")]
    label = _read_label(document.get("managedBy"), errors)
    given = document.get("checks")
    if not isinstance(given, list):
        errors["checks"] = [_("Give a list of checks.")]
    elif len(given) > MAX_CHECKS:
        errors["checks"] = [_("A document holds at most %(count)s checks; divide it.") % {"count": MAX_CHECKS}]
    others = {name: document[name] for name in sections() if name in document}
    errors.update({name: [_("Give a list.")] for name, listed in others.items() if not isinstance(listed, list)})
    if errors or not isinstance(given, list):
        raise DocumentErrors(errors)
    entries = read_entries(given, errors, regions=regions, extra_tags=[MANAGED_BY + label] if label else [])
    if errors:
        raise DocumentErrors(errors)
    return Configuration(entries, label, others)


def read_entries(
    given: Iterable[Any],
    errors: dict[str, list[str | Promise]],
    *,
    regions: Mapping[str, int],
    extra_tags: Iterable[str] = (),
) -> list[Entry]:
    """Return the checks of a list, leaving out those with an error, which is added to ``errors`` by its path."""
    entries: dict[str, Entry] = {}
    for place, value in enumerate(given):
        path = f"checks[{place}]"
        entry = _read_entry(value, path, errors, regions, extra_tags)
        if entry is None:
            continue
        if entry.key in entries:
            errors[f"{path}.key"] = [
                _("%(path)s has the key “%(key)s” too; give each a key of its own.")
                % {"path": entries[entry.key].path, "key": entry.key}
            ]
            continue
        entries[entry.key] = entry
    return list(entries.values())


def _read_key(value: Mapping[str, Any], path: str, errors: dict[str, list[str | Promise]]) -> str:
    key = value.get("key", default_key(str(value.get("name", ""))))
    if is_key(key):
        return str(key)
    errors[path] = [BAD_KEY]
    return ""


def _read_dependencies(value: Any, path: str, errors: dict[str, list[str | Promise]]) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
        errors[path] = [_("Give a list of keys of checks.")]
        return None
    return tuple(sorted(set(value)))


def _read_label(value: Any, errors: dict[str, list[str | Promise]]) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and LABEL.fullmatch(value) and len(MANAGED_BY + value) <= MAX_LENGTH:
        return value
    errors["managedBy"] = [_("Give up to 29 lower-case letters, digits, dots, dashes and underscores.")]
    return ""


def _refuse_unknown(
    given: Mapping[str, Any], known: Set[str], path: str, errors: dict[str, list[str | Promise]]
) -> None:
    for name in given:
        if name not in known:
            errors[at_key(path, str(name))] = [
                _("There is no such field here; there are: %(names)s.") % {"names": ", ".join(sorted(known))}
            ]


def _read_entry(
    value: Any,
    path: str,
    errors: dict[str, list[str | Promise]],
    regions: Mapping[str, int],
    extra_tags: Iterable[str],
) -> Entry | None:
    if not isinstance(value, Mapping):
        errors[path] = [_("Give a mapping with name, kind and config.")]
        return None
    own: dict[str, list[str | Promise]] = {}
    _refuse_unknown(value, CHECK_FIELDS, path, own)
    name, kind, config = value.get("name"), value.get("kind"), value.get("config", {})
    _check_field("name", name, f"{path}.name", own)
    if not isinstance(kind, str) or kind not in CHECK_TYPES:
        own[f"{path}.kind"] = [_("Give one of: %(kinds)s.") % {"kinds": ", ".join(CHECK_TYPES.kinds())}]
    if not isinstance(config, Mapping):
        own[f"{path}.config"] = [_("Give a mapping of settings.")]
    key = _read_key(value, f"{path}.key", own)
    paused = value.get("paused")
    if paused is not None and not isinstance(paused, bool):
        own[f"{path}.paused"] = [_("Give true or false.")]
    timing = _read_timing(value, path, own, regions)
    tags = _read_tags(value.get("tags", []), extra_tags, f"{path}.tags", own)
    depends_on = _read_dependencies(value.get("depends_on"), f"{path}.depends_on", own)
    errors.update(own)
    if own:
        return None
    assert isinstance(name, str) and isinstance(kind, str)  # noqa: S101, PT018 - judged above
    return Entry(
        path=path,
        key=key,
        name=name,
        kind=kind,
        config=config,
        timing=timing,
        tags=tags,
        is_paused=paused,
        depends_on=depends_on,
    )


def _read_timing(
    value: Mapping[str, Any], path: str, errors: dict[str, list[str | Promise]], regions: Mapping[str, int]
) -> Timing:
    given = {name: value[name] for name in TIMING_FIELDS if name in value}
    for name, part in given.items():
        if name == "regions":
            given[name] = _read_regions(part, f"{path}.regions", errors, regions)
        else:
            _check_field(name, part, f"{path}.{name}", errors)
    timing = Timing(**given)
    if (
        "confirmations" in given
        and f"{path}.confirmations" not in errors
        and timing.confirmations > len(timing.regions)
    ):
        errors[f"{path}.confirmations"] = [_("There are fewer regions than that.")]
    return timing


def _read_regions(
    value: Any, path: str, errors: dict[str, list[str | Promise]], regions: Mapping[str, int]
) -> tuple[int, ...]:
    codes = value if isinstance(value, list) and all(isinstance(code, str) for code in value) else []
    if not codes or any(code not in regions for code in codes):
        errors[path] = [_("Give a list of regions: %(codes)s.") % {"codes": ", ".join(sorted(regions))}]
    return tuple(dict.fromkeys(regions[code] for code in codes if code in regions))


def _check_field(name: str, value: Any, path: str, errors: dict[str, list[str | Promise]]) -> None:
    """Judge a value by the rules of the check's own field, taking its type strictly."""
    declared = Check._meta.get_field(name)
    assert isinstance(declared, models.Field)  # noqa: S101 - a declaration error
    if value is None and declared.null:
        return
    types: tuple[type, ...] = (str,)
    if isinstance(declared, models.IntegerField):
        types = (int,)
    elif isinstance(declared, models.BooleanField):
        types = (bool,)
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        complaint = _("Give a whole number.") if types == (int,) else _("This has the wrong type.")
        errors[path] = [_("This is missing.") if value is None else complaint]
        return
    try:
        declared.clean(value, None)
    except ValidationError as error:
        errors[path] = list(error.messages)


def _read_tags(value: Any, extra: Iterable[str], path: str, errors: dict[str, list[str | Promise]]) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        errors[path] = [_("Give a list of texts.")]
        return []
    try:
        return clean_tags([*value, *extra])
    except ValidationError as error:
        errors[path] = list(error.messages)
        return []


# --- Settings and their secrets ----------------------------------------------------------------------------------


def settle_config(entry: Entry, stored: Config | None) -> Config:
    """Return the typed settings of an entry, ``${SECRET:…}`` replaced by what is stored; raise `DocumentErrors`."""
    errors: dict[str, list[str | Promise]] = {}
    kept = dump_config(stored) if stored else {}
    config = CHECK_TYPES.get(entry.kind).Config
    given = {
        name: _filled(value, kept.get(name), f"{entry.path}.config.{name}", errors)
        for name, value in entry.config.items()
    }
    if errors:
        raise DocumentErrors(errors)
    # What people approve, and no form shows, stays unless the document says otherwise: who left it out did not mean it.
    learned = {name: kept[name] for name in unshown_settings(config) if name in kept}
    try:
        return parse_config(config, {**learned, **given})
    except ConfigErrors as error:
        raise DocumentErrors(
            {f"{entry.path}.config.{name}": list(texts) for name, texts in error.errors.items()}
        ) from error


def _filled(value: Any, kept: Any, path: str, errors: dict[str, list[str | Promise]]) -> Any:
    if isinstance(value, Mapping):
        stored = kept if isinstance(kept, Mapping) else {}
        return {name: _filled(part, stored.get(name), at_key(path, name), errors) for name, part in value.items()}
    if isinstance(value, list):
        stored_list = kept if isinstance(kept, list | tuple) else []
        return [
            _filled(part, stored_list[place] if place < len(stored_list) else None, f"{path}[{place}]", errors)
            for place, part in enumerate(value)
        ]
    if isinstance(value, str) and SECRET.search(value):
        if SECRET.fullmatch(value) and isinstance(kept, str) and kept:
            return kept
        errors[path] = [
            _("Nothing is stored for %(marker)s: write the value, or set it in the environment of obsera apply.")
            % {"marker": value[:80]}
        ]
    elif isinstance(value, str) and MASK in value:
        errors[path] = [
            _("This is a mask and not the value: write the value, or ${SECRET:NAME} to keep the stored one.")
        ]
    return value


# --- Writing -----------------------------------------------------------------------------------------------------


def configuration_document(standing: Iterable[Standing], *, region_codes: Mapping[int, str]) -> dict[str, Any]:
    """Return the document that describes these checks, with no secret in the clear."""
    return {"apiVersion": API_VERSION, "checks": [_written(check, region_codes) for check in standing]}


def _written(check: Standing, region_codes: Mapping[int, str]) -> dict[str, Any]:
    written: dict[str, Any] = {"key": check.key, "name": check.name, "kind": check.kind}
    written["config"] = dict(_written_settings(check))
    for name in TIMING_FIELDS:
        value = getattr(check.timing, name)
        if value != getattr(Timing(), name) or name == "interval_seconds":
            written[name] = value
    if "regions" in written:
        written["regions"] = [region_codes[number] for number in check.timing.regions if number in region_codes]
    if check.tags:
        written["tags"] = list(check.tags)
    if check.depends_on:
        written["depends_on"] = list(check.depends_on)
    if check.is_paused:
        written["paused"] = True
    return written


def _written_settings(check: Standing) -> Iterator[tuple[str, Any]]:
    """Yield the settings that differ from their defaults."""
    for entry in fields(check.config):
        value = getattr(check.config, entry.name)
        if value == _default_of(entry):
            continue
        if is_secret_setting(type(check.config), entry.name):
            value = _marked(value, f"{check.key}_{entry.name}")
        yield entry.name, value


def _default_of(entry: Field[Any]) -> Any:
    return entry.default_factory() if entry.default_factory is not MISSING else entry.default


def _marked(value: Any, name: str) -> Any:
    """Return the shape of a secret with every value in it replaced by a marker, named so that a shell can set it."""
    if isinstance(value, Mapping):
        return {key: _marked(part, f"{name}_{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(part, f"{name}_{place}") for place, part in enumerate(value)]
    if value in (None, "", True, False):
        return value
    return f"${{SECRET:{re.sub(r'[^A-Z0-9]+', '_', name.upper()).strip('_')[:200]}}}"
