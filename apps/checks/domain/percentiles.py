"""Percentiles from counts by logarithmic buckets: pure.

Bucket ``n`` holds the times from 2^(n/4) up to 2^((n+1)/4) milliseconds, so an answer is at most a fifth too high, never too
low, whatever was rolled up into it, and histograms of hours, days and regions add up.
"""

from collections.abc import Mapping
from math import floor, log2

PER_OCTAVE = 4
LOWEST, HIGHEST = -28, 80  # an 128th of a millisecond, and a quarter of an hour

# The same as `bucket_of`, for PostgreSQL; takes the name of a column.
BUCKET_SQL = (
    f"least(greatest(floor({PER_OCTAVE} * log(2, greatest({{column}}, 0.001)::numeric)), {LOWEST}), {HIGHEST})::int2"
)


def bucket_of(milliseconds: float) -> int:
    """Return the number of the bucket of a time."""
    return min(max(floor(PER_OCTAVE * log2(max(milliseconds, 0.001))), LOWEST), HIGHEST)


def upper_bound(bucket: int) -> float:
    """Return the time in milliseconds that everything in the bucket stays below."""
    return float(2 ** ((bucket + 1) / PER_OCTAVE))


def percentile(counts: Mapping[int, int], ratio: float) -> float | None:
    """Return a time that at least that share (0–1) of what was counted stays below; None of nothing."""
    total = sum(counts.values())
    if not total:
        return None
    wanted, seen = ratio * total, 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted:
            return upper_bound(bucket)
    return upper_bound(max(counts))
