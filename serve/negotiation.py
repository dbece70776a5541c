"""Content negotiation: reads from a request which media type, form and number of labels its answer has. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
TYPES = (JSON, CSV, NPY)  # in the server's order of preference
FORMS = ("labels", "logits", "probabilities", "full")  # full: labels and logits together, in JSON only


class NotAcceptableError(ValueError):
    """The Accept header allows none of TYPES."""


@dataclass(frozen=True, kw_only=True)
class AnswerFormat:
    """The answer's media type, its form (one of FORMS) and how many labels it names."""

    media_type: str
    form: str
    top_k: int


@dataclass(frozen=True, kw_only=True)
class _Range:
    media_type: str
    quality: float
    parameters: Mapping[str, str]

    def covers(self, media_type: str) -> bool:
        return self.media_type in (media_type, "*/*", media_type.partition("/")[0] + "/*")


def negotiate(accept: str, attributes: str, query: Mapping[str, str], top_k: int) -> AnswerFormat:
    """The answer's format from the Accept header, X-Amzn-SageMaker-Custom-Attributes and the query string.

    An option in Accept wins over one in the attributes, and that over one in the query. `top_k` is the default. Raises
    NotAcceptableError, and ValueError for an invalid form or top_k.
    """
    media_type, parameters = _choose(accept)
    options = dict(query) | _pairs(attributes) | dict(parameters)
    default = "labels" if media_type != NPY else "probabilities"
    form = options.get("form", default)
    if form not in FORMS:
        raise ValueError(f"form={form!r} does not exist: choose one of {', '.join(FORMS)}")
    if form == "full" and media_type != JSON:
        raise ValueError(f"form='full' needs Accept: {JSON}")
    chosen = AnswerFormat(media_type=media_type, form=form, top_k=_top_k(options.get("top_k", str(top_k))))
    # An array holds only numbers, so it gets the probabilities instead of the labels.
    return replace(chosen, form="probabilities") if (media_type, form) == (NPY, "labels") else chosen


def _choose(accept: str) -> tuple[str, Mapping[str, str]]:
    ranges = list(_ranges(accept)) or [_Range(media_type="*/*", quality=1.0, parameters={})]
    best: tuple[float, str, Mapping[str, str]] = (0.0, "", {})
    for media_type in TYPES:
        covering = [entry for entry in ranges if entry.covers(media_type)]
        if covering:  # the most specific range decides (RFC 9110, 12.5.1)
            entry = max(covering, key=lambda entry: (_specificity(entry), entry.quality))
            if entry.quality > best[0]:
                best = (entry.quality, media_type, entry.parameters)
    if not best[1]:
        raise NotAcceptableError(
            f"Accept {accept!r} allows nothing that this server writes: accept one of {', '.join(TYPES)}"
        )
    return best[1], best[2]


def _specificity(entry: _Range) -> int:
    return 0 if entry.media_type == "*/*" else 1 if entry.media_type.endswith("/*") else 2 + len(entry.parameters)


def _ranges(accept: str) -> Iterator[_Range]:
    for part in accept.split(","):
        media_type, *rest = (piece.strip() for piece in part.split(";"))
        if media_type:
            parameters = _pairs(";".join(rest))
            yield _Range(
                media_type=media_type.lower(), quality=_quality(parameters.pop("q", "1")), parameters=parameters
            )


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _pairs(text: str) -> dict[str, str]:
    """Parses `a=b;c=d` or `a=b,c=d`. Unknown names stay unread: they are the caller's own attributes."""
    pairs = (piece.partition("=") for piece in text.replace(",", ";").split(";"))
    return {key.strip().lower(): value.strip().strip('"') for key, sign, value in pairs if sign}


def _top_k(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= 100_000):
        raise ValueError(f"top_k={text[:20]!r}: give a whole number from 1 to 100,000")
    return int(text)
