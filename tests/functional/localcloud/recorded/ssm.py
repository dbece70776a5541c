"""Systems Manager's parameters as AWS was recorded."""

from __future__ import annotations

from typing import Any

from tests.functional.localcloud.recorded.case import Case, answered, refused

KEYS = " ".join(
    f"Parameter.{key}" for key in ("ARN", "DataType", "LastModifiedDate", "Name", "Type", "Value", "Version")
)
AMI = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id"


def _own(ssm: Any) -> Any:
    ssm.put_parameter(Name="/recorded/parameter", Value="123", Type="String")
    return ssm.get_parameter(Name="/recorded/parameter")


CASES = (
    Case(
        operation="GetParameter",
        source="ssm/test_ssm.py::TestSSM::test_parameters_with_path",
        ask=_own,
        aws=answered(KEYS),
    ),
    Case(
        operation="GetParameter",
        source="ssm/test_ssm.py::TestSSM::test_parameters_with_path",
        ask=lambda ssm: ssm.get_parameter(Name=AMI),
        aws=answered(KEYS),
    ),
    Case(
        operation="GetParameter",
        source="cloudformation/resources/test_ssm.py::test_parameter_defaults",
        ask=lambda ssm: ssm.get_parameter(Name="/recorded/none"),
        aws=refused("ParameterNotFound", 400, ""),
        here=refused("ParameterNotFound", 400, "Parameter /recorded/none not found."),
    ),
)
