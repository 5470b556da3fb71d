"""``/probe`` as Prometheus asks for it: who may ask, what is answered, and that nobody waits for another's target."""

import base64
import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import Client

from apps.checks import probe_door
from apps.checks.domain.asking import job_of_check
from apps.checks.domain.checks import create_check
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.checks.types.http import HttpConfig
from apps.checks.types.tcp import TcpConfig
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories.api import make_api
from tests.peers.prometheus import prometheus
from tests.peers.web import answer, saying, serving
from tests.served import serving_product


def metrics(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _space, value in (line.rpartition(" ") for line in lines)}


def key_of(tenant: Tenant, role: Role = Role.EDITOR, *, allows_private: bool = True) -> str:
    Tenant.objects.filter(id=tenant.id).update(allows_private_targets=allows_private)
    return make_api(tenant, role).key


def ask(key: str, **query: str) -> Any:
    return Client(raise_request_exception=False).get("/probe", query, headers={"Authorization": f"Bearer {key}"})


@pytest.mark.django_db
def test_probe_answers_with_blackbox_names(acme: Tenant) -> None:
    with serving(saying(answer(200, b"all is well"))) as web:
        shown = ask(key_of(acme), target=web.url(), module="http_2xx")

    assert (shown.status_code, shown.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    read = metrics(shown.content.decode())
    assert {name: read.pop(name) for name in list(read) if "duration" not in name and "time" not in name} == {
        "probe_success": 1,
        "probe_ip_protocol": 4,
        "probe_http_status_code": 200,
        "probe_failed_due_to_regex": 0,
        "probe_http_redirects": 0,
        "probe_http_ssl": 0,
        "probe_http_uncompressed_body_length": 11,
        "probe_http_version": 1.1,
    }
    assert sorted(read) == [
        "probe_dns_lookup_time_seconds",
        "probe_duration_seconds",
        'probe_http_duration_seconds{phase="connect"}',
        'probe_http_duration_seconds{phase="processing"}',
        'probe_http_duration_seconds{phase="resolve"}',
        'probe_http_duration_seconds{phase="tls"}',
        'probe_http_duration_seconds{phase="transfer"}',
    ]
    assert 0 < read["probe_duration_seconds"] < 5


@pytest.mark.django_db
def test_failure_is_a_metric_not_an_error(acme: Tenant) -> None:
    with serving(saying(answer(503))) as web:
        shown = ask(key_of(acme), target=web.url())

    read = metrics(shown.content.decode())
    assert shown.status_code == 200
    assert (read["probe_success"], read["probe_http_status_code"]) == (0, 503)
    assert read['obsera_probe_error{code="status_mismatch"}'] == 1


@pytest.mark.django_db
def test_pattern_that_does_not_fit_is_told(acme: Tenant) -> None:
    with serving(saying(answer(200, b"all is well"))) as web, serving(saying(b"220 mail")) as line:
        with tenant_scope(acme.id):
            page = HttpConfig(url=web.url(), patterns=["^sold"])
            create_check(name="Page", kind="http", config=page, key="page")
            talk = TcpConfig(host="127.0.0.1", port=line.port, script='send "hello\\r\\n\\r\\n"\nexpect /^250/')
            create_check(name="Line", kind="tcp", config=talk, key="line")
        key = key_of(acme, Role.VIEWER)
        told = [metrics(ask(key, target=name, module="check").content.decode()) for name in ("page", "line")]

    assert [(read["probe_success"], read["probe_failed_due_to_regex"]) for read in told] == [(0, 1), (0, 1)]


@pytest.mark.django_db
def test_tcp_module_connects(acme: Tenant) -> None:
    with serving(saying(b"")) as web:
        shown = ask(key_of(acme), target=f"127.0.0.1:{web.port}", module="tcp_connect")

    assert metrics(shown.content.decode())["probe_success"] == 1


@pytest.mark.django_db
def test_private_target_is_refused_where_the_tenant_may_not(acme: Tenant) -> None:
    with serving(saying(answer())) as web:
        shown = ask(key_of(acme, allows_private=False), target=web.url())

    read = metrics(shown.content.decode())
    assert (read["probe_success"], read['obsera_probe_error{code="address_forbidden"}']) == (0, 1)
    assert web.asked == []


@pytest.mark.django_db
def test_check_is_asked_by_key_and_by_id_with_its_own_settings(acme: Tenant, globex: Tenant) -> None:
    with serving(saying(answer(404))) as web:
        with tenant_scope(acme.id):
            config = HttpConfig(url=web.url(), expected_status="404", headers={"X-Key": "sealed"})
            check = create_check(name="Gone", kind="http", config=config, key="gone")
        key = key_of(acme, Role.VIEWER)
        by_key, by_id = ask(key, target="gone", module="check"), ask(key, target=str(check.id), module="check")
        stranger = ask(key_of(globex), target=str(check.id), module="check")

    assert [metrics(shown.content.decode())["probe_success"] for shown in (by_key, by_id)] == [1, 1]
    assert [b"X-Key: sealed" in request for request in web.asked] == [True, True]
    assert (stranger.status_code, "no check" in stranger.content.decode()) == (400, True)


@pytest.mark.django_db
def test_key_that_reads_like_an_id_is_a_key(in_acme: Tenant) -> None:
    other = create_check(name="Other", kind="http", config=HttpConfig(url="https://other.example/"))
    keyed = HttpConfig(url="https://keyed.example/")
    create_check(name="Keyed", kind="http", config=keyed, key=other.id.hex)

    configs = [
        job_of_check(name, allow_private=False, at_most_seconds=5).config for name in (other.id.hex, str(other.id))
    ]

    assert configs == [keyed, HttpConfig(url="https://other.example/")]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "Name a target"),
        ({"target": "https://a.example", "module": "telepathy"}, "no module “telepathy”"),
        ({"target": "ftp://a.example"}, "url:"),
        ({"target": "a.example", "module": "tcp_connect"}, "port:"),
        ({"target": "nobody", "module": "check"}, "no check"),
        ({"target": "beat", "module": "check"}, "waits for reports"),
    ],
)
def test_what_cannot_be_probed_is_said(acme: Tenant, query: dict[str, str], words: str) -> None:
    with tenant_scope(acme.id):
        create_check(name="Beat", kind="heartbeat", config=HeartbeatConfig(), key="beat")

    shown = ask(key_of(acme), **query)

    assert shown.status_code == 400
    assert words in shown.content.decode()


@pytest.mark.django_db
def test_who_may_ask(acme: Tenant) -> None:
    key = key_of(acme)
    basic = base64.b64encode(f"prometheus:{key}".encode()).decode()

    def status(header: str) -> int:
        return Client().get("/probe", headers={"Authorization": header} if header else {}).status_code

    assert [status(header) for header in ("", "Bearer x", f"Bearer {key[:-1]}x", "Basic !", "Basic eA==")] == [401] * 5
    assert [status(header) for header in (f"Bearer {key}", f"Basic {basic}")] == [400, 400]
    assert ask(key_of(acme, Role.VIEWER), target="https://a.example").status_code == 403
    assert Client().post("/probe").status_code == 405


@pytest.mark.django_db
def test_prometheus_patience_bounds_the_probe(acme: Tenant) -> None:
    key = key_of(acme)
    with serving(lambda connection, _request: web.stopped.wait(60) and None) as web:
        began = time.monotonic()
        shown = Client().get(
            "/probe",
            {"target": web.url()},
            headers={"Authorization": f"Bearer {key}", "X-Prometheus-Scrape-Timeout-Seconds": "1"},
        )

    assert time.monotonic() - began < 30  # the target would hang for a minute
    assert metrics(shown.content.decode())['obsera_probe_error{code="timeout"}'] == 1


# --- Behind a real server ----------------------------------------------------------------------------------------


@pytest.fixture
def served(transactional_db: None) -> Iterator[str]:
    with serving_product() as address:
        yield address


def fetch(served: str, key: str, target: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(served.removeprefix("http://"), timeout=90)
    try:
        connection.request("GET", f"/probe?target={target}", headers={"Authorization": f"Bearer {key}"})
        found = connection.getresponse()
        return found.status, found.read().decode()
    finally:
        connection.close()


def test_prometheus_scrapes_it(served: str, acme: Tenant) -> None:
    place = served.removeprefix("http://")
    with serving(saying(answer(200))) as good, serving(saying(answer(500))) as bad:
        job = f"""
  - job_name: web
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    authorization: {{credentials: "{key_of(acme)}"}}
    static_configs: [{{targets: ["{good.url()}", "{bad.url()}"]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "{place}"}}
"""
        with prometheus(job) as server:
            assert server.value(f'probe_success{{instance="{good.url()}"}}') == 1
            assert server.value(f'probe_success{{instance="{bad.url()}"}}') == 0
            assert server.value(f'probe_http_status_code{{instance="{bad.url()}"}}') == 500
            assert server.value('count(probe_http_duration_seconds{phase="connect"})') == 2
            assert server.value('min(up{job="web"})') == 1


def test_hanging_targets_block_nobody_and_are_bounded_per_tenant(
    served: str, acme: Tenant, globex: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_door, "IN_FLIGHT_PER_TENANT", 3)
    acmes, globexs = key_of(acme), key_of(globex)
    with serving(lambda connection, _request: web.stopped.wait(60) and None) as web, serving(saying(answer())) as good:
        with ThreadPoolExecutor(4) as crowd:
            hanging = [crowd.submit(fetch, served, acmes, web.url()) for _ in range(3)]
            while web.connections < 3:
                time.sleep(0.02)
            mine = fetch(served, acmes, good.url())
            theirs = fetch(served, globexs, good.url())
            still = [not one.done() for one in hanging]
            web.stopped.set()
            ended = [one.result()[0] for one in hanging]
        after = fetch(served, acmes, good.url())

    assert (mine[0], theirs[0], metrics(theirs[1])["probe_success"]) == (429, 200, 1)
    assert (still, ended, after[0]) == ([True] * 3, [200, 200, 200], 200)
