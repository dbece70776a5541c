"""ECR: a real container registry behind a proxy with ECR's rules; moto keeps the repositories' records.

Open registry.py first. api.py and images.py hold ECR's operations; pull.py gives other services the images. Imports
containers, errors and gateway.
"""
