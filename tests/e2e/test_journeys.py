"""What people do with the product, from signing up to the end of an outage, in a real browser on the real product."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.e2e.browsing import Visitor
from tests.e2e.conftest import Visits
from tests.e2e.stage import PATIENCE_SECONDS, Stage, link_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("product")]

PATIENCE_MS = PATIENCE_SECONDS * 1_000
PASSWORD = "correct horse battery staple"
FIRST_MINUTE_SECONDS = 60


def sign_up(page: Page, name: str, email: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("E-mail address").fill(email)
    page.locator("input[type=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()


def shown_state(page: Page) -> Locator:
    """Return the badge of the check whose page this is."""
    return page.locator("#check-now .badge-state")


def await_live(page: Page, status: str = "live") -> None:
    expect(page.locator("[data-live-status]")).to_have_attribute("data-live-status", status, timeout=PATIENCE_MS)


def never_reloads(page: Page) -> None:
    page.evaluate("window.isSamePage = true")


def assert_same_page(*pages: Page) -> None:
    assert [page.evaluate("window.isSamePage") for page in pages] == [True] * len(pages)


def test_newcomer_sees_the_first_result_within_a_minute_of_signing_in(visit: Visits, stage: Stage) -> None:
    page = visit().page
    page.goto("/")
    page.get_by_role("link", name="Sign up").click()
    sign_up(page, "Nora", "nora@acme.example")
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()

    page.goto(link_in(stage.await_letter("nora@acme.example", "/confirm-email/"), "/confirm-email/"))
    page.get_by_role("button", name="Yes, confirm").click()
    page.get_by_label("Name of your organisation").fill("Nora's shop")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Which address should we watch?").fill(stage.target.url("/nora"))
    page.get_by_role("button", name="Start watching").click()

    expect(page.get_by_role("status", name="First result")).to_contain_text("Status 200.", timeout=PATIENCE_MS)
    page.get_by_role("link", name="See it live").click()
    expect(shown_state(page)).to_have_text("Up", timeout=PATIENCE_MS)
    expect(page.locator("#check-results tbody tr").first).to_be_visible()
    assert seconds_to_first_result(stage, page.url) < FIRST_MINUTE_SECONDS


def seconds_to_first_result(stage: Stage, page_url: str) -> float:
    """Return how long the product took, without the time that a busy machine takes to draw pages."""
    check_id = page_url.rstrip("/").rpartition("/")[2]
    with stage.product.database() as database:
        found = database.execute(
            "SELECT extract(epoch FROM min(seen.started_at) - max(watched.created_at))::float FROM checks_result AS seen"
            " JOIN checks_check AS watched ON watched.id = seen.check_id WHERE watched.id = %s",
            [check_id],
        ).fetchone()
    assert found
    return float(found[0])


@pytest.fixture(scope="module")
def shop(stage: Stage) -> str:
    """A check on a healthy address, shown on the first tenant's public page; its id."""
    check_id = stage.make_check("Shop", "/shop")
    (page, *_) = stage.call("GET", "status-pages/")["results"]
    components = [{"check": check_id, "name": "Our shop"}]
    stage.call("PATCH", f"status-pages/{page['id']}/", {"is_published": True, "components": components})
    stage.await_state(check_id, "up")
    return check_id


def add_slack_on_screen(page: Page, stage: Stage) -> None:
    page.goto("/t/main/channels/")
    page.get_by_role("link", name="New channel").first.click()
    page.get_by_role("link", name="Slack").click()
    page.get_by_label("Name").fill("Ops")
    page.get_by_label("Webhook URL").fill(stage.slack_url())
    page.get_by_label("Default channel").check()
    page.get_by_role("button", name="Create channel").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("status").filter(has_text="arrived")).to_contain_text("The test through Ops arrived")
    assert len(stage.slack_texts()) == 1


def test_outage_reaches_people_and_every_page_by_itself(
    visit: Visits, owner_visit: Visitor, stage: Stage, shop: str
) -> None:
    dashboard, check, public = owner_visit.page, owner_visit.new_page(), visit().page
    add_slack_on_screen(dashboard, stage)
    for page, path in ((dashboard, "/t/main/"), (check, f"/t/main/checks/{shop}/"), (public, "/status/main/")):
        page.goto(path)
        await_live(page)
        never_reloads(page)
    expect(dashboard.locator(".banner__title")).to_have_text("Everything is up", timeout=PATIENCE_MS)
    expect(public.locator(".verdict__title")).to_have_text("Everything works", timeout=PATIENCE_MS)

    stage.target.broken.add("/shop")

    expect(shown_state(check)).to_have_text("Down", timeout=PATIENCE_MS)
    expect(dashboard.locator(".banner__title")).to_have_text("One check is down", timeout=PATIENCE_MS)
    expect(public.locator(".component-row .badge-state")).to_have_text("Outage", timeout=PATIENCE_MS)
    stage.await_slack("Shop is down")
    stage.await_letter(stage.product.first_run["email"], "Shop is down", "503")
    assert_same_page(dashboard, check, public)

    stage.target.broken.discard("/shop")

    expect(shown_state(check)).to_have_text("Up", timeout=PATIENCE_MS)
    expect(dashboard.locator(".banner__title")).to_have_text("Everything is up", timeout=PATIENCE_MS)
    expect(public.locator(".component-row .badge-state")).to_have_text("Operational", timeout=PATIENCE_MS)
    stage.await_slack("Shop recovered")
    stage.await_letter(stage.product.first_run["email"], "Shop recovered")
    assert_same_page(dashboard, check, public)
    sees_the_story(check)


def sees_the_story(page: Page) -> None:
    """From the check's page: the outage with its timeline, and why the alert was sent."""
    page.locator("#check-outages").get_by_role("link", name="Shop").first.click()
    expect(page.locator(".banner__title")).to_have_text("Shop recovered")
    timeline = page.locator(".timeline")
    for moment in ("Opened", "Notified", "Delivered", "Resolved"):
        expect(timeline).to_contain_text(moment, timeout=PATIENCE_MS)
    page.get_by_role("link", name="Who was notified, and why").click()
    expect(page.locator(".trace")).to_contain_text("The rule covers this check")
    page.get_by_role("link", name="Open alert").first.click()
    expect(page.get_by_role("heading", name="Why you were notified, or not")).to_be_visible()
    sent = page.get_by_role("row").filter(has_text="Ops")
    expect(sent).to_have_count(2)
    expect(sent.first).to_contain_text("Sent")


def test_page_changes_by_itself_where_websockets_are_blocked(owner_visit: Visitor, stage: Stage) -> None:
    check_id = stage.make_check("Behind a proxy", "/proxied")
    stage.await_state(check_id, "up")
    page = owner_visit.page

    def refuse(socket: WebSocketRoute) -> None:
        socket.close(code=1011)

    page.route_web_socket(re.compile("/ws/"), refuse)
    page.goto(f"/t/main/checks/{check_id}/")
    await_live(page, "polling")
    expect(page.locator("[data-live-status]")).to_contain_text("Every 10 s")
    never_reloads(page)

    stage.target.broken.add("/proxied")

    expect(shown_state(page)).to_have_text("Down", timeout=PATIENCE_MS)
    assert_same_page(page)
    page.goto("about:blank")  # it would ask for what is gone
    stage.call("DELETE", f"checks/{check_id}/")


def test_invited_viewer_sees_everything_and_changes_nothing(
    visit: Visits, owner_visit: Visitor, stage: Stage, shop: str
) -> None:
    page = owner_visit.page
    page.goto("/t/main/members/")
    inviting = page.get_by_role("region", name="Invite someone")
    inviting.get_by_label("E-mail address").fill("vera@acme.example")
    inviting.get_by_label("Role").select_option(label="Viewer")
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.locator("#invitations")).to_contain_text("vera@acme.example")

    viewer = accept(visit(), stage)
    expect(viewer.get_by_role("link", name="New check")).to_have_count(0)
    viewer.goto(f"/t/main/checks/{shop}/")
    expect(shown_state(viewer)).to_have_text("Up", timeout=PATIENCE_MS)
    assert viewer.locator("main").get_by_role("button", name=re.compile("Pause|Delete|Check now")).count() == 0
    assert viewer.locator("main").get_by_role("link", name="Edit").count() == 0
    assert viewer.request.get("/t/main/checks/new/").status == 403

    switch_tenant(viewer)


def accept(visitor: Visitor, stage: Stage) -> Page:
    """Follow the invitation's letter as somebody without an account, up to the tenant's first page.

    The letter has proved the address: no second one.
    """
    page = visitor.page
    page.goto(link_in(stage.await_letter("vera@acme.example", "/invitations/"), "/invitations/"))
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Your name").fill("Vera")
    if page.get_by_label("E-mail address").is_editable():
        page.get_by_label("E-mail address").fill("vera@acme.example")
    page.locator("input[type=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.get_by_role("button", name="Accept the invitation").click()
    page.wait_for_url("**/t/main/**")
    return page


def switch_tenant(page: Page) -> None:
    """Found a second organisation and change to and fro."""
    page.locator(".tenant-switcher summary").click()
    page.get_by_role("link", name="New organisation").click()
    page.get_by_label("Name of your organisation").fill("Vera's own")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/start/")
    page.goto("/t/main/")
    page.locator(".tenant-switcher summary").click()
    page.locator(".tenant-switcher").get_by_role("link", name="Vera's own").click()
    page.wait_for_url("**/start/")


def test_status_page_is_arranged_renamed_and_withdrawn(visit: Visits, owner_visit: Visitor, stage: Stage) -> None:
    for name, path in (("Mail", "/mail"), ("Files", "/files")):
        stage.make_check(name, path)
    made: Any = stage.call("POST", "status-pages/", {"title": "Partners", "slug": "partners", "is_published": True})
    page, public = owner_visit.page, visit().page
    page.goto(f"/t/main/status-pages/{made['id']}/")
    rows = page.locator("#component-list li")

    for name in ("Mail", "Files"):
        page.locator("#components").get_by_label("Check").select_option(label=name)
        page.get_by_role("button", name="Add").click()
        expect(rows.filter(has_text=name)).to_have_count(1)
    page.get_by_role("button", name="Move Files up").click()
    expect(rows.first).to_contain_text("Files")
    page.get_by_role("link", name="Rename Mail").click()
    page.get_by_label("Name").fill("Letters")
    page.get_by_role("button", name="Save").click()
    expect(rows).to_contain_text(["Files", "Letters"])
    public.goto("/status/partners/")
    expect(public.locator(".component-row__name")).to_have_text(["Files", "Letters"])
    public.goto("about:blank")  # whoever has the page open is told so, asks for it, and hears that it is gone

    page.get_by_label("Published").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Open preview")).to_be_visible()
    assert public.request.get("/status/partners/").status == 404
    page.get_by_label("Published").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Open page")).to_be_visible()
    assert public.request.get("/status/partners/").status == 200
