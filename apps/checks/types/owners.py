"""Whose a host is: domains are counted as their owners are (https://publicsuffix.org)."""

import asyncio
from functools import cache

from publicsuffixlist import PublicSuffixList


def load() -> None:
    """Read the list, which takes a tenth of a second, once; without this, the first to ask waits for it."""
    _suffixes()


def domain_of(host: str) -> str:
    """Return the domain that belongs to one owner and that ``host`` lies in; empty for what belongs to many.

    Customers of one host, such as ``a.github.io`` and ``b.github.io``, are strangers.
    """
    return _suffixes().privatesuffix(host.rstrip(".").lower()) or ""


async def owned_domain(host: str) -> str:
    """Return `domain_of` without holding up the loop where the list is not read yet."""
    await asyncio.to_thread(load)
    return domain_of(host)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
