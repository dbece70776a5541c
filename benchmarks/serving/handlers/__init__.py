"""Code that runs inside each server's own environment: handlers for the peers, bare loops, and the torch reference.

May import `contract`, and for our own server `serve`. Open network.py first: every handler uses it.
"""
