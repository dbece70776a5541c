"""deploy.toml as frozen settings, checked before anything is sent.

Imports errors only. Start with settings.py, which reads the file; the other modules hold its sections.
"""
