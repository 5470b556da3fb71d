"""The list of checks in Chromium with thousands of them: how soon is it painted, how soon does an edit show?

    make bench-checks-list                     5,000 checks with an hour of results each
    make bench-checks-list ARGS="--checks 1000"

The product probes them meanwhile (each every five minutes), so that the list also changes by itself. First paint is the
browser's own "first contentful paint" after a full navigation with an empty cache of the page; an edit is timed from the
key or click to the changed row. Medians of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from bench._product import Product, running_product
from bench._servers import FlipTarget

PAINT_LIMIT_MS, EDIT_LIMIT_MS = 1_000, 300
PATIENCE_MS = 60_000
CHROMIUM = "/usr/bin/chromium"
PAINTED = """() => new Promise((resolve) => {
  const painted = (entries) => entries.find(({ name }) => name === "first-contentful-paint")?.startTime;
  new PerformanceObserver((list) => painted(list.getEntries()) && resolve(painted(list.getEntries())))
    .observe({ type: "paint", buffered: true });
})"""
WATCH = """wanted => {
  let pressed = 0;
  document.addEventListener("keydown", () => { pressed ||= performance.now(); }, { capture: true, once: true });
  window.shownAfter = new Promise((resolve) => {
    new MutationObserver((_, observer) => {
      if (document.querySelector(wanted)) {
        observer.disconnect();
        requestAnimationFrame(() => resolve(performance.now() - pressed));
      }
    }).observe(document.body, { childList: true, subtree: true });
  });
}"""

SETUP = """
from apps.checks.domain.checks import Timing
from apps.checks.domain.settings import keep_config
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.ids import uuid7
from apps.core.kinds import parse_config
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from datetime import timedelta
from django.db import transaction
tenant, now = Tenant.objects.order_by("created_at").first(), clock.now()
with tenant_scope(tenant.id), transaction.atomic():
    made = []
    for number in range({checks}):
        check = Check(
            id=uuid7(), tenant_id=tenant.id, name=f"Service {{number:04}}", kind="http", interval_seconds=300,
            created_at=now - timedelta(days=3), tags=[f"team-{{number % 40}}", "bench"],
        )
        keep_config(check, parse_config(CHECK_TYPES.get("http").Config, {{"url": f"{target}/{{number}}"}}))
        made.append(check)
    Check.objects.bulk_create(made, batch_size=500)
    CheckState.objects.bulk_create(
        (CheckState(watched=check, tenant_id=tenant.id, state=State.UP, since_at=check.created_at) for check in made),
        batch_size=500,
    )
    Turn.objects.bulk_create(
        (
            Turn(watched=check, region_id=1, tenant_id=tenant.id, due_at=at, claimable_at=at, opinion=Verdict.SUCCESS)
            for place, check in enumerate(made)
            for at in [now + timedelta(seconds=300 * place / {checks})]
        ),
        batch_size=500,
    )
"""
RESULTS = """
INSERT INTO checks_result (check_id, tenant_id, region_id, due_at, started_at, verdict, total_ms, dns_ms, connect_ms,
                           first_byte_ms, transfer_ms, error_code)
SELECT watched.id, watched.tenant_id, 1, moment, moment, 1, 20 + 30 * random(), 1, 2, 15, 2, ''
FROM checks_check AS watched
CROSS JOIN generate_series(now() - interval '60 minutes', now() - interval '1 minute', interval '1 minute') AS moment
WHERE 'bench' = ANY (watched.tags) ON CONFLICT DO NOTHING
"""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checks", type=int, default=5_000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with FlipTarget() as target, running_product() as product:
        _fill(product, target.url, chosen.checks)
        with _browser(product) as page:
            measured = {
                "first paint": _rounds(chosen.rounds, lambda: _paint(page, "/t/main/checks/")),
                "first paint of a search": _rounds(
                    chosen.rounds, lambda: _paint(page, "/t/main/checks/?text=Service+12")
                ),
                "pause": _rounds(chosen.rounds, lambda: _pause(page)),
                "rename": _rounds(chosen.rounds, lambda: _rename(page)),
            }
    return _report(measured, chosen.checks)


def _fill(product: Product, target: str, checks: int) -> None:
    product.python(SETUP.format(checks=checks, target=target))
    with product.database() as database:
        stored = database.execute(RESULTS).rowcount
    print(f"{checks} checks, {stored} results", flush=True)


@contextmanager
def _browser(product: Product) -> Iterator[Page]:
    """A Chromium in which the first owner is signed in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(base_url=f"http://localhost:{product.port}")
        page.set_default_timeout(PATIENCE_MS)
        page.goto("/account/login/")
        page.get_by_label("E-mail").fill(product.first_run["email"])
        page.locator("input[type=password]").fill(product.first_run["password"])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/t/**")
        yield page
        browser.close()


def _rounds(count: int, measure: Callable[[], float]) -> list[float]:
    measure()  # the first visit fetches styles and scripts
    return [measure() for _ in range(count)]


def _paint(page: Page, path: str) -> float:
    page.goto(path)
    shown: float = page.evaluate(PAINTED)
    time.sleep(1)
    return shown


def _settled(page: Page) -> None:
    page.goto("/t/main/checks/?text=Service")
    page.wait_for_load_state("networkidle")


def _pause(page: Page) -> float:
    """Pause the first check of the list: from the key until its row says so; then let it go on."""
    _settled(page)
    check = page.locator("#checks tbody tr").first.get_attribute("id")
    page.locator(f"#{check}").get_by_role("button", name="Pause").focus()
    took = _until_shown(page, f"#{check} .state-paused")
    page.request.post(f"/t/main/checks/{str(check).removeprefix('check-')}/resume/", headers=_token(page))
    return took


def _rename(page: Page) -> float:
    """Rename the first check in its row: from Enter until the new name stands there."""
    _settled(page)
    check = page.locator("#checks tbody tr").first.get_attribute("id")
    page.locator(f"#{check}").get_by_role("button", name="Rename").click()
    page.locator(f"#{check} input[name=name]").fill(f"Service renamed {time.time_ns()}")
    return _until_shown(page, f"#{check} .cell-main > a")


def _until_shown(page: Page, wanted: str) -> float:
    """Press Enter; milliseconds until the wanted element is in the page, by the page's own clock."""
    page.evaluate(WATCH, wanted)
    page.keyboard.press("Enter")
    took: float = page.evaluate("window.shownAfter")
    return took


def _token(page: Page) -> dict[str, str]:
    token = page.locator("[name=csrfmiddlewaretoken]").first.get_attribute("value")
    return {"X-CSRFToken": str(token), "Referer": page.url}


def _report(measured: dict[str, list[float]], checks: int) -> int:
    print(f"\nthe list of {checks} checks, milliseconds: median (all)")
    is_good = True
    for name, values in measured.items():
        limit = PAINT_LIMIT_MS if "paint" in name else EDIT_LIMIT_MS
        median = statistics.median(values)
        is_good = is_good and median < limit
        print(
            f"  {name:<24} {median:6.0f}  wanted < {limit}   ({', '.join(f'{value:.0f}' for value in sorted(values))})"
        )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
