"""Pages with a past, and a shelf that starts empty."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.core.cache import cache

from apps.statuspages.domain.pages import create_page
from apps.statuspages.domain.shelf import shelf
from apps.statuspages.models import StatusPage
from apps.tenants.models import Tenant
from tests.statuspages.histories import at


@pytest.fixture(autouse=True)
def _empty_shelf() -> Iterator[None]:
    shelf.clear()
    cache.clear()
    yield
    shelf.clear()


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    """21 November 2026, 12:00 UTC, standing still."""
    with time_machine.travel(at("21 12:00"), tick=False) as traveller:
        yield traveller


@pytest.fixture
def page(in_acme: Tenant) -> StatusPage:
    """A published page of `acme`, without components. The scope of `acme` is open."""
    return create_page(title="Acme Cloud", slug="acme")


@pytest.fixture(autouse=True)
def _public_url(settings: Any) -> None:
    settings.PUBLIC_URL = "https://obsera.example"
