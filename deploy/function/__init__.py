"""The Lambda function in front of the main endpoint: its image, alias, health check, concurrency, scaling and URL.

Imports autoscaling, aws, config, errors, planning and values. Start with function.py.
"""
