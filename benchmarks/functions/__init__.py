"""The Lambda function, its peer and the world around them, as `python -m awslambdaric` runs them."""
