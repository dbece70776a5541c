"""Jobs on SageMaker, EC2 and this machine: training, tuning and batch transform.

Start with backend.py, the interface of the three backends. May import aws, config, iam's roles, images, planning,
storage and session.
"""
