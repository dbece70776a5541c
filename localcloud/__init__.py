"""AWS on one machine: moto for the control plane, Docker for what really runs.

`python -m localcloud` serves one HTTP port that boto3, the AWS CLI and containers reach through AWS_ENDPOINT_URL.
"""
