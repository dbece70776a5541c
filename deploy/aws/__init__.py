"""Everything that knows how AWS is called: the client, request builders, tags, logs, uploads, the stage's lock.

Imports config, errors and values. Start with client.py, the only module that uses boto3.
"""
