"""Addresses of the sockets."""

from typing import Any

from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from channels.sessions import CookieMiddleware
from django.urls import path, re_path

from apps.live.consumers import LiveConsumer, NowhereConsumer

websocket_urlpatterns = [
    path("ws/live/<slug:kind>/<slug:slug>/", LiveConsumer.as_asgi()),
    re_path(r"", NowhereConsumer.as_asgi()),
]


def websocket_application() -> Any:
    """Return the ASGI application for sockets: for pages of our hosts only, as browsers send cookies from any page."""
    return AllowedHostsOriginValidator(CookieMiddleware(URLRouter(websocket_urlpatterns)))
