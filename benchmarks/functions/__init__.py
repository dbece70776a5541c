"""The handlers that the Lambda benchmarks compare, and fakes of the services around them.

The handlers run under `python -m awslambdaric` and import only lambda_container or boto3. Open candidates.py first.
"""
