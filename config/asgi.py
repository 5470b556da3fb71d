"""The web process: pings through their own door, HTTP through Django, WebSockets through Channels."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
http = get_asgi_application()

from channels.routing import ProtocolTypeRouter  # noqa: E402 - models load only once Django is set up

from apps.checks.consumers import PingDoor  # noqa: E402
from apps.live.routing import websocket_application  # noqa: E402
from config.startup import refuse_unsafe_database_role  # noqa: E402

refuse_unsafe_database_role()
application = PingDoor(ProtocolTypeRouter({"http": http, "websocket": websocket_application()}))
