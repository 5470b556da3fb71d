"""The web process of bench/live_fanout.py: `BENCH_WAY` says how a change reaches the sockets, `REDIS_URL` through what."""

import os

import django
import uvicorn
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
LAYERS = {
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
    "core": "channels_redis.core.RedisChannelLayer",
}
way = os.environ["BENCH_WAY"]
if way in LAYERS:
    hosts = {"hosts": [os.environ["REDIS_URL"]]}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": LAYERS[way], "CONFIG": hosts}}
django.setup()

from apps.live import consumers  # noqa: E402 -- models load only once Django is set up
from apps.live.domain import topics  # noqa: E402
from apps.live.routing import websocket_application  # noqa: E402


class LayerConsumer(AsyncWebsocketConsumer):
    """What one would write with a channel layer."""

    groups = ("bench",)

    async def connect(self) -> None:
        await self.accept()
        await self.send(text_data='{"type":"hello"}')

    async def changed(self, event: dict[str, str]) -> None:
        await self.send(text_data=event["payload"])


if __name__ == "__main__":
    topics.register("open", lambda _, slug: f"open:{slug}", is_public=True)
    consumers.SEATS_PER_ADDRESS = 1_000_000
    uvicorn.run(
        LayerConsumer.as_asgi() if way in LAYERS else websocket_application(),
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        lifespan="off",
        log_level="warning",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
    )
