"""``${SECRET:NAME}`` in a document, replaced by the environment's NAME before the document is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

MARKER = re.compile(r"\$\{SECRET:([A-Za-z0-9_.-]{1,200})\}")


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return the document with every marker that has a value replaced; others stay and mean "what is stored"."""
    if not any(name in values for name in MARKER.findall(text)):
        return text
    try:
        return json.dumps(_filled_value(json.loads(text), values))
    except ValueError:
        return _filled_yaml(text, values)


def _filled_text(text: str, values: Mapping[str, str]) -> str:
    return MARKER.sub(lambda found: values.get(found[1], found[0]), text)


def _filled_value(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _filled_text(value, values)
    if isinstance(value, list):
        return [_filled_value(part, values) for part in value]
    if isinstance(value, dict):
        return {key: _filled_value(part, values) for key, part in value.items()}
    return value


def _filled_yaml(text: str, values: Mapping[str, str]) -> str:
    """Replace the scalars that hold a marker by quoted ones, so that no secret can change the document's shape."""
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        return text  # the server says what is wrong with it
    for event in reversed(events):
        if not isinstance(event, yaml.ScalarEvent) or not MARKER.search(event.value):
            continue
        start, end = event.start_mark, event.end_mark
        if start is None or end is None:
            continue
        ending = "\n" if text[start.index : end.index].endswith("\n") else ""
        anchor = f"&{event.anchor} " if event.anchor else ""
        quoted = json.dumps(_filled_text(event.value, values), ensure_ascii=False)
        text = f"{text[: start.index]}{anchor}{quoted}{ending}{text[end.index :]}"
    return text
