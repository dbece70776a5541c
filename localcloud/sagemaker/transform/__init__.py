"""Batch transform jobs: every object of an S3 prefix through serving containers, answers back to S3.

Imports sagemaker.hosting for models and containers, and sagemaker.records. Start with job.py; feeder.py sends objects.
"""
