"""The stage as a whole: its desired resources, its inventory, and what became obsolete.

Imports planning and every package of resources. Start with desired.py; kinds.py lists every kind of resource.
"""
