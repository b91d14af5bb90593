"""`make bench`: every measurement, one after the other. They print; nothing is asserted."""

import importlib
import json
import platform
import sys

BENCHES = ("frame", "eyes", "meteors", "science", "render", "planning", "night", "rest", "recovery", "safety")


def main() -> None:
    """Run those named on the command line, or all."""
    print(json.dumps({"machine": platform.machine(), "python": platform.python_version()}))
    for name in sys.argv[1:] or BENCHES:
        print(f"-- {name}", flush=True)
        importlib.import_module(f"tests.bench.{name}").main()


if __name__ == "__main__":
    main()
