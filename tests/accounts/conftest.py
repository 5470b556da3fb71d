"""Rate limits live in Redis: each test counts from nought."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def own_cache_keys() -> Iterator[None]:
    before = cache.key_prefix
    cache.key_prefix = f"{before}-{uuid4()}"
    yield
    cache.key_prefix = before
