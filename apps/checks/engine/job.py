"""One probe to be run."""

from dataclasses import dataclass
from typing import Any

from apps.core.kinds import Config


@dataclass(slots=True)  # a frozen one costs three times as much to make, and each probe makes one
class ProbeJob:
    """``token`` comes back with the outcome. Use one ``config`` object per version of a check: it keeps what it prepared.

    Reading the certificate's end costs a tenth of a TLS probe; a caller who looks at it now and then only may say so.
    """

    token: Any
    kind: str
    config: Config
    timeout_seconds: float
    allow_private: bool
    reads_certificate: bool = True
