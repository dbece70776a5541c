"""Metrics read from a job's log lines with the regular expressions of MetricDefinitions (rule 18)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from localcloud.sagemaker.records import invalid


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One entry of MetricDefinitions."""

    name: str
    pattern: re.Pattern[str]

    def values(self, line: str) -> list[float]:
        """Every value in the line: the first group of each match, or the whole match; text is skipped."""
        values = []
        for match in self.pattern.finditer(line):
            try:
                values.append(float(match.group(1) if self.pattern.groups else match.group(0)))
            except (ValueError, TypeError):
                continue
        return values


def metric(definition: Mapping[str, str]) -> Metric:
    """Parse one entry of MetricDefinitions. Raises ApiError ValidationException for a bad Regex."""
    try:
        return Metric(name=definition["Name"], pattern=re.compile(definition["Regex"]))
    except re.error as error:
        raise invalid(f"MetricDefinitions: the Regex of {definition['Name']} is not valid: {error}") from None


class MetricScanner:
    """Reads log lines and remembers every metric's values, one per line. Not thread-safe."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics
        self._history: dict[str, list[float]] = {}

    def scan(self, line: str) -> dict[str, float]:
        """Return the metrics of this line: name → last value in the line."""
        latest = {metric.name: values[-1] for metric in self._metrics if (values := metric.values(line))}
        for name, value in latest.items():
            self._history.setdefault(name, []).append(value)
        return latest

    def history(self, name: str) -> list[float]:
        """Return every value of a metric so far, oldest first."""
        return list(self._history.get(name, ()))
