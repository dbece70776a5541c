"""Faults that AWS has by itself, on request: resources that are seen late, and requests that are throttled.

Start with late.py, the table of what is seen late by whom; lag.py plays it, throttle.py throttles. Imports environment,
errors and gateway.
"""
