"""What the whole product costs while it has nothing to do: CPU and memory of each part, with no check at all.

    make bench-idle-cost                        a minute
    make bench-idle-cost ARGS="--seconds 600"

CPU is counted in processor time, which other programs on the machine change little. Memory is the proportional share
(PSS): what several processes have in common counts once among them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench._product import Product, running_product, tree, tree_seconds

# Starting leaves work behind: the first tenant's events, the workers' own beginnings.
SETTLE_SECONDS = 20


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60.0)
    chosen = options.parse_args()
    with running_product(EXAMPLE_SERVICE="0") as product:
        time.sleep(SETTLE_SECONDS)
        before = _used(product)
        time.sleep(chosen.seconds)
        after = _used(product)
        memory = {name: sum(map(_megabytes, tree(pid))) for name, pid in product.parts().items()}
    cost = {name: (after[name] - before[name]) * 3_600 / chosen.seconds for name in before}
    print(f"{'part':<12}{'CPU-s/hour':>12}{'MB':>8}")
    for name, seconds in sorted(cost.items(), key=lambda entry: -entry[1]):
        print(f"{name:<12}{seconds:>12.1f}{memory.get(name, 0):>8.0f}")
    print(f"{'whole':<12}{sum(cost.values()):>12.1f}{sum(memory.values()):>8.0f}")
    print(f"that is {sum(cost.values()) / 36:.2f} % of one processor")
    return 0


def _used(product: Product) -> dict[str, float]:
    parts = product.cpu_seconds()
    return {**parts, "supervisor": tree_seconds(product.process.pid) - sum(parts.values())}


def _megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1_024 for line in lines if line.startswith("Pss:")), 0.0)


if __name__ == "__main__":
    sys.exit(main())
