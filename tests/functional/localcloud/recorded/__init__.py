"""What real AWS was recorded to answer, by service: cases that `test_recorded` asks localcloud."""

from tests.functional.localcloud.recorded import cloudwatch, iam, logs, s3, ssm

CASES = {
    "cloudwatch": cloudwatch.CASES, "iam": iam.CASES, "logs": logs.CASES, "s3": s3.CASES, "ssm": ssm.CASES,
}  # fmt: skip
