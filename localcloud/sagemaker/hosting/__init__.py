"""Endpoints: models, endpoint configurations, the containers behind endpoints, and both ways to invoke them.

Imports sagemaker.records, service_quotas and cloudwatch, no other package of sagemaker. Start with api.py;
instances.py runs the containers.
"""
