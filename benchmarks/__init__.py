"""Benchmarks against other tools. Each module here is a command that measures one table: `python -m benchmarks.NAME`.

May import every package of the project; nothing in the product imports it. Open README.md first, then harness/.
"""
