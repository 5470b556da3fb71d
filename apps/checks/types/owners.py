"""Whose a host is: domains are counted as their owners are (https://publicsuffix.org)."""

import asyncio
from functools import cache

from publicsuffixlist import PublicSuffixList


async def owned_domain(host: str) -> str:
    """Return the domain that belongs to one owner and that ``host`` lies in; empty for what belongs to many.

    Customers of one host, such as ``a.github.io`` and ``b.github.io``, are strangers.
    """
    suffixes = await asyncio.to_thread(_suffixes)  # reading the list takes a tenth of a second, once
    return suffixes.privatesuffix(host.rstrip(".")) or ""


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
