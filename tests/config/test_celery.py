"""What workers load before they start: no more than they use, and no later than somebody waits for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START = """
import sys
from celery.signals import celeryd_after_setup
from config.celery import app
worker = app.Worker(queues="{queue}", pool="solo", quiet=True)
app.loader.import_default_modules()
celeryd_after_setup.send(sender="x@y", instance=worker, conf=app.conf)
print(sorted(name for name in ("config.urls", "apps.incidents.urls", "apps.alerting.tasks") if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("queue", "loaded"),
    [
        ("events", ["apps.alerting.tasks", "apps.incidents.urls", "config.urls"]),
        ("probes", ["apps.alerting.tasks"]),
        ("deliveries", ["apps.alerting.tasks"]),
    ],
)
def test_only_the_worker_that_writes_links_loads_the_addresses(queue: str, loaded: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CELERY_SKIP_CHECKS"}

    answer = subprocess.run(
        [sys.executable, "-c", START.format(queue=queue)],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )

    assert answer.stdout.splitlines()[-1] == str(loaded)
