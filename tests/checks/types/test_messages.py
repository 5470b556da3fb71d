"""Every code has its two sentences."""

import inspect
import re

import pytest
from django.utils.translation import override

from apps.checks.engine import loop, transport
from apps.checks.types import assertions, http_visit, oauth
from apps.checks.types import http as http_type
from apps.checks.types.explaining import all_messages, explain
from apps.checks.types.messages import FORBIDDEN_REASONS
from apps.core.http import curl, failures, guard


def _codes_in_use() -> set[str]:
    from_tables = {
        failures.NO_IPV6,
        *failures.CONNECT_CODES.values(),
        *failures.CERTIFICATE_CODES.values(),
        *failures.ERROR_CODES.values(),
    }
    before = r"Failure\(|error_code=|problem, values = |return (?:\()?|Visit\(steps, address, "
    finding = r'Finding\((?:f?"[^"\n]*"|[\w.]+), '
    written = re.compile(rf'(?:{before}|{finding})"([a-z_]+)"')
    return from_tables | {
        code
        for module in (assertions, curl, failures, http_type, http_visit, loop, oauth, transport)
        for code in written.findall(inspect.getsource(module))
    }


def test_every_code_in_use_is_explained() -> None:
    unexplained = {code for code in _codes_in_use() if code not in all_messages()}

    assert len(_codes_in_use()) > 25
    assert unexplained == set()


@pytest.mark.parametrize("code", sorted(all_messages()))
def test_sentences_are_whole_even_without_values(code: str) -> None:
    with override("en"):
        explanation = explain(code, {})

    assert explanation.reason.endswith(".")
    assert explanation.mend.endswith(".")
    assert "%(" not in str(explanation)


def test_values_are_filled_in() -> None:
    with override("en"):
        explanation = explain("status_mismatch", {"status": 503, "expected": "200-299"})

    assert explanation.reason == "The server answered 503; expected was 200-299."


def test_reason_of_a_forbidden_address_is_in_words() -> None:
    with override("en"):
        explanation = explain("address_forbidden", {"address": "127.0.0.1", "reason": "loopback"})

    assert explanation.reason == "The address 127.0.0.1 may not be checked (this machine itself)."


def test_every_reason_of_the_guard_has_words() -> None:
    reasons = {reason for _block, reason in (*guard.V4_BLOCKS, *guard.V6_BLOCKS)}

    assert reasons | {"metadata", "invalid"} == set(FORBIDDEN_REASONS)


def test_unknown_code_explains_itself() -> None:
    assert str(explain("from_the_future", {})) == "from the future"
