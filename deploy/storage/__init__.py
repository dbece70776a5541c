"""The stage's bucket, the pictures in it, and log groups.

Imports aws, config, errors, planning and values. Start with bucket.py.
"""
