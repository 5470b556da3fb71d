"""Pictures of every page, to be looked at: ``python -m tests.e2e.screens FOLDER``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.e2e.browsing import Visitor, chromium
from tests.e2e.scenery import MAINTAINED, STAYS_BROKEN, Scenery, furnish
from tests.e2e.stage import Stage, stage

LOOKS = {"light": (1440, 900), "dark": (1440, 900), "phone": (360, 740)}


def pages_of_anyone(scenery: Scenery) -> dict[str, str]:
    """Name and address of each page that needs no sign-in."""
    public = f"/status/{scenery.page_slug}/"
    return {
        "sign-in": "/account/login/",
        "sign-up": "/account/signup/",
        "password-reset": "/account/password/reset/",
        "status-page": public,
        "status-history": f"{public}history/",
        "api-docs": "/api/v1/docs/",
        "not-found": "/nowhere/",
    }


def pages_of_members(scenery: Scenery) -> dict[str, str]:
    """Name and address of each page of a signed-in owner."""
    down = scenery.checks[STAYS_BROKEN]
    tenant = {
        "overview": "",
        "onboarding": "start/",
        "search": "search/?q=pay",
        "checks": "checks/",
        "checks-filtered": "checks/?text=nothing-like-it",
        "check": f"checks/{down}/",
        "check-up": f"checks/{scenery.checks['Website']}/",
        "check-maintained": f"checks/{scenery.checks[MAINTAINED]}/",
        "check-heartbeat": f"checks/{scenery.heartbeat}/",
        "check-ping-key": "checks/ping-key/",
        "check-kinds": "checks/new/",
        "check-new": "checks/new/?kind=http",
        "check-edit": f"checks/{down}/edit/",
        "moving": "checks/import/",
        "moving-import": "checks/import/uptime_kuma/",
        "moving-apply": "checks/import/configuration/",
        "agents": "checks/agents/",
        "agent": f"checks/agents/{scenery.agent}/",
        "outages": "outages/",
        "outage-open": f"outages/{scenery.ongoing}/",
        "outage-resolved": f"outages/{scenery.resolved}/",
        "maintenance": "maintenance/",
        "maintenance-new": "maintenance/new/",
        "maintenance-edit": f"maintenance/{scenery.window}/",
        "alerts": "alerts/",
        "alert": f"alerts/{scenery.alert}/",
        "alert-why": f"alerts/why/{scenery.ongoing}/",
        "rules": "alerts/rules/",
        "rule-new": "alerts/rules/new/",
        "silences": "alerts/silences/",
        "channels": "channels/",
        "channel": f"channels/{scenery.channel}/",
        "channel-kinds": "channels/new/",
        "channel-new": "channels/new/?kind=slack",
        "channel-edit": f"channels/{scenery.channel}/edit/",
        "deliveries": "deliveries/",
        "delivery": f"deliveries/{scenery.delivery}/",
        "status-pages": "status-pages/",
        "status-page-new": "status-pages/new/",
        "status-page-edit": f"status-pages/{scenery.page}/",
        "members": "members/",
        "api-keys": "api-keys/",
        "settings": "settings/",
        "plan": "settings/plan/",
    }
    account = {
        "tenant-new": "/tenants/new/",
        "account-email": "/account/email/",
        "account-password": "/account/password/change/",
        "account-2fa": "/account/2fa/",
        "account-profile": "/account/profile/",
        "staff-tenants": "/staff/tenants/",
        "staff-plan": "/staff/tenants/main/",
        "components": "/staff/components/",
    }
    return {**{name: f"/t/main/{path}" for name, path in tenant.items()}, **account}


def wear(visitor: Visitor, theme: str, width: int, height: int) -> None:
    """Choose colours and size for every page to come."""
    visitor.context.add_init_script(f"localStorage.setItem('obsera.theme', '{theme}')")
    visitor.page.set_viewport_size({"width": width, "height": height})


def settle(page: Page) -> None:
    """Wait until the page has its fonts, its live line, its charts and its late parts."""
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    for chart in page.locator("[data-chart]").all():
        chart.scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, 0)")


def photograph(page: Page, file: Path, width: int, height: int) -> None:
    """Take the whole page in a window as high as it is, so that what sticks to the window's edges reaches them."""
    whole = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": max(whole, height)})
    page.screenshot(path=file)
    page.set_viewport_size({"width": width, "height": height})


def main(folder: Path, only: str = "") -> None:
    """Take all pictures; ``only`` limits them to pages whose name contains it."""
    folder.mkdir(parents=True, exist_ok=True)
    with stage() as running, chromium() as browser:
        scenery = furnish(running)
        for name in take_all(browser, running, scenery, folder, only):
            sys.stdout.write(f"{name}\n")


def take_all(browser: Browser, running: Stage, scenery: Scenery, folder: Path, only: str) -> Iterator[str]:
    first = running.product.first_run
    for look, (width, height) in LOOKS.items():
        for pages, is_member in ((pages_of_anyone(scenery), False), (pages_of_members(scenery), True)):
            visitor = Visitor(browser, running.url)
            wear(visitor, "light" if look == "phone" else look, width, height)
            if is_member:
                visitor.sign_in(first["email"], first["password"])
            for name, path in pages.items():
                if only in name:
                    visitor.page.goto(path)
                    settle(visitor.page)
                    photograph(visitor.page, folder / f"{name}.{look}.png", width, height)
                    yield f"{name}.{look}"
            for complaint in visitor.complaints:
                yield f"  complaint: {complaint}"
            visitor.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
