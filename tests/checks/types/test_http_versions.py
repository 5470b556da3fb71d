"""HTTP/1.1, HTTP/2 and HTTP/3, each spoken with a server that can do all of them."""

from collections.abc import Iterator

import pytest
import trustme

from apps.checks.enums import Verdict
from apps.core.http import curl
from apps.core.http.curl import HttpVersion, speaks
from tests.checks.engine.probing import job, probe, probe_all
from tests.peers.versions import speaking_all_versions
from tests.peers.web import answer, saying, serving


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def port(authority: trustme.CA) -> Iterator[int]:
    with speaking_all_versions(authority) as found:
        yield found


@pytest.fixture(autouse=True)
def _trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with authority.cert_pem.tempfile() as path:
        monkeypatch.setattr(curl, "ca_file", lambda: path)
        yield


def test_libcurl_in_use_speaks_them_all() -> None:
    assert all(speaks(version) for version in HttpVersion)


@pytest.mark.parametrize("path", ["/", "/packed"])
@pytest.mark.parametrize(("wanted", "spoken"), [("auto", "2"), ("1.1", "1.1"), ("2", "2"), ("3", "3")])
async def test_wanted_version_is_spoken(port: int, wanted: str, spoken: str, path: str) -> None:
    outcome = await probe(f"https://localhost:{port}{path}", http_version=wanted, keyword=f"spoke {spoken}")

    assert (outcome.verdict, outcome.error_code, outcome.http_version) == (Verdict.SUCCESS, "", spoken)
    assert outcome.remote_ip == "127.0.0.1"
    assert outcome.cert_expires_at is not None
    assert outcome.tls_ms is not None


async def test_headers_of_every_version_are_judged(port: int) -> None:
    jobs = [
        job(version, f"https://localhost:{port}/", http_version=version, header_rules=[f"X-Version: == {version}"])
        for version in ("1.1", "2", "3")
    ]

    outcomes = await probe_all(jobs)

    assert {outcome.error_code for outcome in outcomes.values()} == {""}


async def test_server_without_http3_fails_in_its_time() -> None:
    with serving(saying(answer())) as web:
        outcome = await probe(f"https://127.0.0.1:{web.port}/", http_version="3", timeout=1)

    assert outcome.verdict == Verdict.FAILURE
    assert outcome.error_code in ("connect_refused", "connect_failed", "connect_timeout", "tls_failed", "tls_timeout")


async def test_http3_passes_the_guard_too() -> None:
    outcome = await probe("https://169.254.169.254/", http_version="3", timeout=1)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "metadata")
