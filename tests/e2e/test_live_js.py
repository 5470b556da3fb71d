"""live.js in a real browser, against a real server, real sockets and a real Redis."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from apps.core import redis
from apps.live.domain import wire
from tests.e2e.live_site import Site, fetched, fetches, hide, page, say, settle, shows_status, site, visit
from tests.live.conftest import Valkey, open_topics, valkey

__all__ = ["open_topics", "page", "site", "valkey"]
pytestmark = pytest.mark.browser


async def test_only_what_changed_is_fetched_and_once(page: Page, site: Site):
    await visit(page, site)

    await say("check:1")
    await fetched(page, site, one=1, checks=1, any=1)

    await say("outage:5", "check:2")
    await fetched(page, site, one=1, two=1, checks=2, any=2, outages=1)
    await expect(page.locator("#one")).to_have_text("one 1")
    await expect(page.locator("#checks")).to_have_text("checks 2")


async def test_wildcard_from_the_server_means_every_element_of_the_kind(page: Page, site: Site):
    await visit(page, site)

    await say(*(f"check:{i}" for i in range(1000, 1200)))
    await fetched(page, site, one=1, two=1, checks=1, any=1, form=1)


async def test_blocked_websocket_falls_back_to_polling_and_comes_back(page: Page, site: Site):
    site.is_socket_blocked = True
    await page.clock.install(time=0)
    await page.clock.pause_at(1_000)
    await page.goto(f"http://127.0.0.1:{site.port}/a")

    await page.clock.run_for(1_000)
    await settle(page, site)
    assert site.fetches["one"] == 0
    await page.clock.run_for(5_000)
    await shows_status(page, "polling")
    await fetched(page, site, one=1, two=1, checks=1, any=1, outages=1, form=1)
    await page.clock.run_for(11_000)
    await fetched(page, site, one=2, two=2, checks=2, any=2, outages=2, form=2)

    site.is_socket_blocked = False
    for _ in range(150):  # in steps, so that a handshake has real time while the clock runs
        await page.clock.run_for(1_000)
        await asyncio.sleep(0.25)
        if await page.locator("[data-live-status=live]").count():
            break
    await shows_status(page, "live")
    for _ in range(3):  # what was on its way when the socket opened
        await page.clock.run_for(1_000)
        await settle(page, site)
    site.fetches.clear()
    await page.clock.run_for(30_000)
    await settle(page, site)
    assert site.fetches == {}


async def test_missing_websocket_class_falls_back_to_polling(page: Page, site: Site):
    await page.add_init_script("window.WebSocket = function () { throw new DOMException('blocked', 'SecurityError'); }")

    await visit(page, site, status="polling")


async def test_server_restart_is_caught_up_with(page: Page, site: Site):
    await visit(page, site)

    await site.stop()
    await say("check:1")
    await site.start()
    await shows_status(page, "live")
    await fetches(site, one=1)
    await settle(page, site)

    site.fetches.clear()
    await say("check:2")
    await fetched(page, site, two=1, checks=1, any=1)


async def test_server_that_stays_away_shows_offline_until_it_is_back(page: Page, site: Site):
    await visit(page, site)

    await site.stop()
    await shows_status(page, "offline")
    await site.start()
    await shows_status(page, "live")


async def test_dead_redis_means_polling_and_its_return_a_fresh_picture(page: Page, site: Site, valkey: Valkey):
    await visit(page, site)

    valkey.kill()
    await shows_status(page, "polling")
    await fetched(page, site, one=1, two=1, checks=1, any=1, outages=1, form=1)
    site.fetches.clear()
    valkey.start()
    await shows_status(page, "live")
    await fetches(site, one=1, two=1, checks=1, any=1, outages=1, form=1)


async def test_gap_fetches_everything(page: Page, site: Site):
    await visit(page, site)
    await page.evaluate("document.addEventListener('live:all', () => { document.title = 'all' })")

    await asyncio.to_thread(redis.client().incr, wire.sequence_key("open:a"))
    await say("outage:5")
    await fetched(page, site, one=1, two=1, checks=1, any=1, outages=1, form=1)

    assert await page.title() == "all"


async def test_change_while_the_page_loaded_is_not_missed(page: Page, site: Site):
    await visit(page, site)  # the hub listens from here on
    site.is_socket_blocked = True
    await page.goto(f"http://127.0.0.1:{site.port}/a", wait_until="load")
    await say("outage:5")
    site.is_socket_blocked = False
    await shows_status(page, "live")

    await fetches(site, outages=1)


async def test_hidden_tab_fetches_nothing_until_it_is_seen(page: Page, site: Site):
    await visit(page, site)

    await hide(page, True)
    await say("check:1")
    await asyncio.sleep(1.1)
    await say("check:1")
    await asyncio.sleep(1.1)
    assert site.fetches == {}
    await hide(page, False)

    await fetched(page, site, one=1, checks=1, any=1)


async def test_change_during_a_fetch_is_fetched_after_it(page: Page, site: Site):
    await visit(page, site)
    site.may_answer.clear()

    await say("check:1")
    await fetches(site, one=1)
    await page.evaluate("document.addEventListener('live:delta', () => { document.title = 'again' })")
    await say("check:1")
    await expect(page).to_have_title("again")
    site.may_answer.set()

    await expect(page.locator("#one")).to_have_text("one 2")


async def test_slow_answers_are_asked_for_less_often(page: Page, site: Site):
    site.rest = 20
    await visit(page, site)
    site.delay = 0.6

    await say("check:1")
    await fetches(site, one=1)
    for _ in range(3):
        await say("check:1")
        await asyncio.sleep(1)
    assert site.fetches["one"] == 1

    await expect(page.locator("#one")).to_have_text("one 2")


async def test_nobody_is_disturbed_while_typing(page: Page, site: Site):
    await visit(page, site)
    await page.focus("#field")

    await say("check:7")
    await asyncio.sleep(1)
    assert site.fetches["form"] == 0
    await page.evaluate("document.activeElement.blur()")

    await fetched(page, site, form=1, any=1, checks=1)


async def test_nothing_is_replaced_under_a_pressed_button(page: Page, site: Site):
    await visit(page, site)
    await page.hover("#one button")
    await page.mouse.down()

    await say("check:1")
    await asyncio.sleep(1)
    assert site.fetches["one"] == 0
    await page.mouse.up()

    await fetched(page, site, one=1, any=1, checks=1)


async def test_focus_stays_where_it_was_when_a_part_comes_anew(page: Page, site: Site):
    await visit(page, site)
    await page.focus("#one button")

    await say("check:1")

    await expect(page.locator("#one")).to_have_text("one 1")
    await expect(page.locator("#one button")).to_be_focused()


async def test_focus_stays_on_what_scripts_make_focusable_while_other_parts_come(page: Page, site: Site):
    await visit(page, site)
    held: asyncio.Queue[Route] = asyncio.Queue()
    await page.route("**/part/checks", lambda route: held.put(route))
    await page.evaluate(
        """() => {
          htmx.config.defaultSettleDelay = 2000;
          const wire = (part) => { part.tabIndex = 0; };
          document.addEventListener("htmx:load", ({ detail }) => detail.elt.id === "one" && wire(detail.elt));
          wire(document.getElementById("one"));
        }"""
    )
    await page.focus("#one")

    await say("check:1")
    await expect(page.locator("#one")).to_have_text("one 1")
    await (await held.get()).continue_()  # comes while the other one settles
    await expect(page.locator("#checks")).to_have_text("checks 1")

    await expect(page.locator("#one")).to_be_focused()


async def test_answer_that_comes_while_somebody_types_is_thrown_away_and_fetched_again(page: Page, site: Site):
    await visit(page, site)
    site.may_answer.clear()
    await page.evaluate("document.getElementById('form').children[0].isMine = true")

    await say("check:7")
    await fetches(site, form=1)
    await page.focus("#field")
    site.may_answer.set()
    await expect(page.locator("#form.htmx-request")).to_have_count(0)
    await asyncio.sleep(1)

    assert await page.evaluate("document.getElementById('field').isMine") is True
    assert site.fetches["form"] == 1
    await page.evaluate("document.activeElement.blur()")
    await fetches(site, form=2)
    await settle(page, site)
    assert site.fetches["form"] == 2
    assert await page.evaluate("document.getElementById('field').isMine") is None


FILTER = 'void htmx.ajax("GET", "/part/mine", { source: "[data-live-status]", target: "#one", swap: "outerHTML" })'


@pytest.mark.parametrize("is_live_first", [True, False])
async def test_what_a_filter_brings_finds_its_place_though_the_part_changes_meanwhile(
    page: Page, site: Site, is_live_first: bool
):
    await visit(page, site)
    held: asyncio.Queue[Route] = asyncio.Queue()
    await page.route("**/part/mine", lambda route: held.put(route))
    if is_live_first:
        site.may_answer.clear()
        await say("check:1")
        await fetches(site, one=1)

    await page.evaluate(FILTER)
    mine = await held.get()
    if is_live_first:
        site.may_answer.set()
    else:
        await say("check:1")
    await fetches(site, checks=1)
    await settle(page, site)
    await mine.continue_()

    await expect(page.locator("#field")).to_have_count(2)
    await expect(page.locator("#one")).to_have_count(0)


async def test_live_answer_older_than_what_somebody_did_is_asked_for_again(page: Page, site: Site):
    await visit(page, site)
    site.may_answer.clear()
    await say("check:1")
    await fetches(site, one=1)
    await page.route("**/part/mine", lambda route: route.fulfill(body="<b>mine</b>"))

    await page.evaluate(FILTER.replace("outerHTML", "beforeend"))
    await expect(page.locator("#one b")).to_have_count(1)
    site.may_answer.set()

    await expect(page.locator("#one")).to_have_text("one 2")


async def test_refused_visitor_is_offline_and_does_not_poll(page: Page, site: Site):
    await page.clock.install()
    await page.goto(f"http://127.0.0.1:{site.port}/nowhere")
    await shows_status(page, "offline")
    await page.clock.run_for(30_000)
    await settle(page, site)

    assert site.fetches == {}
