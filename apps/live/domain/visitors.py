"""Whoever opens a socket."""

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest


@dataclass(frozen=True)
class Visitor:
    """A browser with or without a session. The user is read only when a resolver asks."""

    session_key: str | None

    @cached_property
    def user(self) -> AbstractBaseUser | AnonymousUser:
        """Return the signed-in user of the session as it is now (a changed password or a sign-out ends it)."""
        request = HttpRequest()
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(self.session_key)
        return get_user(request)
