"""What a heartbeat's page offers to copy into a job, run as a job would run it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from django.test import override_settings

from apps.checks.domain.heartbeat_addresses import addresses_of
from apps.checks.models import Heartbeat
from apps.tenants.models import Tenant
from tests.checks.test_pings import heartbeat
from tests.peers.web import answer, saying, serving

JOB = """#!/bin/sh
head -c {size} /dev/zero | tr '\\0' x
echo the end
exit 3
"""


@pytest.mark.django_db
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize(("printed", "kept"), [(0, 0), (300_000, 300_000), (3_000_000, 999_993)])
def test_sh_snippet_reports_whatever_the_job_prints(in_acme: Tenant, tmp_path: Path, printed: int, kept: int) -> None:
    job, check = tmp_path / "job", heartbeat()
    job.write_text(JOB.format(size=printed))
    job.chmod(0o700)
    beat = Heartbeat.objects.get(watched=check)

    with serving(saying(answer())) as web, override_settings(PUBLIC_URL=web.url("")):
        code = next(one.code for one in addresses_of(beat).snippets if one.title == "sh")
        code = code.replace("/usr/local/bin/job", str(job))
        subprocess.run(["/bin/sh", "-c", code], check=True, timeout=120, env={**os.environ, "no_proxy": "*"})

    start, report = web.asked
    head, _blank, body = report.partition(b"\r\n\r\n")
    assert start.startswith(f"GET /ping/{beat.token}/start ".encode())
    assert head.startswith(f"POST /ping/{beat.token}/3 ".encode())
    assert body == b"x" * kept + b"the end"
