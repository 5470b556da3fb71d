"""One socket's mailbox."""

import asyncio

from apps.live.domain.mailbox import MAILBOX_SIZE, Mailbox, Signal


async def test_letters_come_out_in_order():
    mailbox = Mailbox()
    mailbox.push("one")
    mailbox.push("two")

    assert [await mailbox.take(), await mailbox.take()] == ["one", "two"]


async def test_full_mailbox_is_emptied_for_one_order_to_catch_up():
    mailbox = Mailbox()
    for i in range(3 * MAILBOX_SIZE):
        mailbox.push(str(i))

    assert await mailbox.take() is Signal.CATCH_UP
    mailbox.push("after")
    assert await mailbox.take() == "after"


async def test_waiting_socket_wakes_and_checks_access_before_anything_else():
    mailbox = Mailbox()
    taking = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)

    mailbox.push("secret")
    mailbox.signal(Signal.CHECK_ACCESS)

    assert await taking is Signal.CHECK_ACCESS
    assert await mailbox.take() == "secret"
