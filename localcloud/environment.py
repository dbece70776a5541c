"""Settings of localcloud in environment variables."""

from collections.abc import Mapping

from localcloud.errors import LocalcloudError


def seconds(environ: Mapping[str, str], variable: str, *, default: float, minimum: float, maximum: float) -> float:
    """A variable's number of seconds. Raises LocalcloudError for anything outside minimum to maximum."""
    text = environ.get(variable, str(default))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not minimum <= value <= maximum:
        raise LocalcloudError(f"{variable}: {text!r} is not a number of seconds from {minimum:g} to {maximum:g}")
    return value
