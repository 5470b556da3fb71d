"""Where a heartbeat's job reports, and how it says so in the tools that jobs are run by."""

from dataclasses import dataclass

from django.conf import settings

from apps.checks.domain.heartbeats import ping_key
from apps.checks.models import Heartbeat
from apps.core.kinds import Text

CURL = "curl -fsS -m 10 --retry 5 -o /dev/null"
CRONTAB = f"0 3 * * * /usr/local/bin/job; {CURL} {{url}}/$?"
# Not as an argument: Linux takes none of more than 128 KiB. A log's end says more than its beginning, and more than a
# megabyte is not kept anyway.
SHELL = f"""#!/bin/sh
{CURL} {{url}}/start
output=$(/usr/local/bin/job 2>&1); status=$?
printf %s "$output" | tail -c 1000000 | {CURL} --data-binary @- {{url}}/$status"""
SYSTEMD = f"""[Service]
Type=oneshot
ExecStartPre=-/usr/bin/{CURL} {{url}}/start
ExecStart=/usr/local/bin/job
ExecStopPost=-/bin/sh -c '[ "$SERVICE_RESULT" = success ]; {CURL} {{url}}/$$?'"""
PYTHON = """from urllib.request import urlopen

urlopen("{url}/start", timeout=10)
try:
    run_the_job()
except Exception as error:
    urlopen("{url}/fail", data=repr(error).encode(), timeout=10)
    raise
urlopen("{url}", timeout=10)"""
POWERSHELL = """Invoke-RestMethod -Uri {url}/start -TimeoutSec 10
& C:\\Jobs\\job.exe
Invoke-RestMethod -Uri "{url}/$LASTEXITCODE" -TimeoutSec 10"""
SNIPPETS = (
    ("crontab", CRONTAB),
    ("sh", SHELL),
    ("systemd", SYSTEMD),
    ("Python", PYTHON),
    ("PowerShell", POWERSHELL),
)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A few lines to copy into a job. ``title`` is a product's name and needs no translation."""

    title: Text
    code: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """Every way in to one heartbeat. Whoever knows one may report for it."""

    ping: str
    by_slug: str
    push: str
    mail: str  # empty where this installation takes no mails

    @property
    def snippets(self) -> list[Snippet]:
        return [Snippet(title, code.replace("{url}", self.ping)) for title, code in SNIPPETS]


def addresses_of(heartbeat: Heartbeat) -> Addresses:
    """Return where this heartbeat's job reports."""
    root, token = settings.PUBLIC_URL, heartbeat.token
    by_slug = f"{root}/ping/{ping_key()}/{heartbeat.slug}" if heartbeat.slug else ""
    mail = f"{token}@{settings.PING_MAIL_DOMAIN}" if settings.PING_MAIL_DOMAIN else ""
    return Addresses(ping=f"{root}/ping/{token}", by_slug=by_slug, push=f"{root}/api/push/{token}", mail=mail)
