"""SageMaker on one machine: training, tuning, batch transform, hosting and notebook instances, one package each.

`records` and `s3_input` are shared by all; `services` wires hosting and transform. Imports cloud, containers,
cloudwatch, iam, s3 and the gateway, never another AWS service's package except service_quotas. Start with services.py.
"""
