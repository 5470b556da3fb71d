"""Servers that come as Debian packages."""

import os
import shutil
from typing import NoReturn

import pytest


def need(command: str, *, package: str) -> str:
    """Return the path of a server; where it is missing, skip the test loudly, or fail it in CI."""
    found = shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        skip(command, package=package)
    return found


def skip(thing: str, *, package: str) -> NoReturn:
    """Skip the test for want of a server, loudly; in CI it fails."""
    reason = f"{thing} is missing: apt-get install {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
