"""Whatever JSON comes in as settings: it is taken, or refused field by field, and nothing breaks."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core.kinds import (
    Config,
    ConfigErrors,
    config_form_fields,
    dump_config,
    load_config,
    parse_config,
    public_config,
)
from tests.contracts.test_kinds import registries, sample_of

ENTRIES = [
    pytest.param(entry, id=f"{registry.name}: {entry.kind}")
    for registry in registries()
    for entry in registry
    if isinstance(getattr(entry, "Config", None), type) and issubclass(entry.Config, Config)
]

# Texts that mean something somewhere, beside arbitrary ones (half characters and null characters among them).
TELLING = st.sampled_from(
    [
        "", " ", "\x00", "\ud800", "{", "[]", "{}", "[{}]", "$", "$..*", "$[?@.a]", "(", "(?x)a{9}", "[STATUS] == 200",
        "http://", "https://[::1", "https://x.example/{{a}}", "http://1.2.3.4:99999/", "socks5://x:1080", "A: b", "A: ~ (",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "2xx", "1e999", "9" * 5_000, "٣", "ß" * 300, "a.b.",
        "127.0.0.1", "::1", "xn--a", "* * * * *", "P1D", "0", "-1", "true", "null",
    ]
)  # fmt: skip
TEXT = TELLING | st.text(st.characters(codec=None, exclude_categories=()), max_size=30)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


@pytest.mark.parametrize("entry", ENTRIES)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_settings_are_taken_or_refused_by_name(entry: Any, data: st.DataObject) -> None:
    known = [field.name for field in fields(entry.Config)]
    names = st.sampled_from(known) | TEXT if known else TEXT
    changes = data.draw(st.dictionaries(names, JSON, max_size=4))
    settings_given = {**(sample_of(entry) if data.draw(st.booleans()) else {}), **changes}

    refused: dict[str, list[str]] = {}
    try:
        config = parse_config(entry.Config, settings_given)
    except ConfigErrors as error:
        refused = error.errors
    if refused:
        assert all(messages and all(isinstance(text, str) for text in messages) for messages in refused.values())
        return

    assert load_config(entry.Config, dump_config(config)) == config
    assert set(public_config(config)) == set(config_form_fields(entry.Config))
    if hasattr(entry, "target"):
        assert isinstance(entry.target(config), str)
