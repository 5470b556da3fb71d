"""What the planner cannot know by itself."""

from typing import Any

# A staging table has no statistics and a claim's size is unknown, so that PostgreSQL would read whole tables to join a
# handful of rows: 20 results among 20,000 checks cost 30 times as much. Keys are the way in, for this transaction only.
BY_KEY = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"


def prefer_keys(cursor: Any, *also: str) -> None:
    """Have this transaction's joins go through indexes; ``also`` are statements for the same round trip."""
    cursor.execute("; ".join((BY_KEY, *also)))
