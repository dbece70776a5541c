"""EC2 instances: moto keeps all records; a container acts as each instance's machine. Other operations are moto's.

Open instances.py first. metadata.py answers the instance metadata service; machine/ runs inside the container. Imports
cloud, cloudwatch, containers, errors, gateway, iam and threads.
"""
