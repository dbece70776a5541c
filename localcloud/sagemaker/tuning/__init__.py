"""Hyperparameter tuning jobs: a search that launches training jobs a few at a time.

Imports sagemaker.training for the jobs and sagemaker.records. Start with job.py; search.py chooses the values.
"""
