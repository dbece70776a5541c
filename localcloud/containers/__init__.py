"""Docker: its client (engine.py, open it first), HTTP to a container's port, folders that containers write to.

Imports only localcloud.errors.
"""
