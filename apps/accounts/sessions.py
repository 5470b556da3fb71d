"""How long a sign-in lasts: some days without a visit, and never longer than the absolute age."""

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest
from django.utils.deprecation import MiddlewareMixin

from apps.core import clock

SIGNED_IN = "signed_in_at"
SEEN = "seen_at"
TOUCH_EVERY_SECONDS = 3_600  # a session row is written once an hour, not once a request


def mark_signed_in(request: HttpRequest) -> None:
    """Begin the absolute age of a sign-in."""
    request.session[SIGNED_IN] = int(clock.now().timestamp())


class SessionAgeMiddleware(MiddlewareMixin):
    """Signs out who signed in too long ago; moves the expiry of who is here. Costs no query of its own."""

    def process_request(self, request: HttpRequest) -> None:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
            return
        now = int(clock.now().timestamp())
        session = request.session
        if now - session.setdefault(SIGNED_IN, now) > settings.SESSION_ABSOLUTE_AGE:
            logout(request)
        elif now - session.get(SEEN, 0) > TOUCH_EVERY_SECONDS:
            session[SEEN] = now
            session.set_expiry(settings.SESSION_COOKIE_AGE)
