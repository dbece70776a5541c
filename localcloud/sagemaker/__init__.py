"""SageMaker on one machine: training, tuning, batch transform, hosting and notebook instances.

All of them share `records`; `services` wires hosting and transform together. Imports localcloud's common
modules (cloud, containers, cloudwatch, iam, s3), service_quotas and the gateway.
Start with training/job.py or hosting/api.py.
"""
