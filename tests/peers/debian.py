"""Servers that come as Debian packages."""

import os
import shutil

import pytest


def need(command: str, *, package: str) -> str:
    """Return the path of a server; where it is missing, skip the test loudly, or fail it in CI."""
    found = shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        reason = f"{command} is missing: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
