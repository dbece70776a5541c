"""Application Auto Scaling for SageMaker's variants and Lambda's provisioned concurrency; moto has other namespaces.

Open autoscaler.py first: it decides at every tick. targets.py and policies.py hold the operations, scalable.py changes
the capacities. Imports aws_client, cloud, cloudwatch, errors and gateway.
"""
