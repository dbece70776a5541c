"""The `shutdown` command of a container that acts as an EC2 instance: [-P|-h|-r] [now|+MINUTES], or -c to cancel."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

DUE = Path("/run/localcloud-shutdown")


def seconds(words: Sequence[str]) -> float | None:
    """After how many seconds to shut down; None to cancel. Raises ValueError for any other time."""
    if "-c" in words:
        return None
    when = next((word for word in words if not word.startswith("-")), "+1")
    if when == "now":
        return 0.0
    if when.startswith("+"):
        return 60.0 * int(when[1:])
    raise ValueError(f"shutdown: {when}: use now or +MINUTES")


def main(words: Sequence[str]) -> int:
    try:
        after = seconds(words)
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    if after is None:
        DUE.unlink(missing_ok=True)
    else:
        temporary = DUE.with_suffix(".new")
        temporary.write_text(str(time.time() + after))
        temporary.replace(DUE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
