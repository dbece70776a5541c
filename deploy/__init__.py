"""Plans and applies a stage's resources on AWS, and runs the commands of `./inv` on it.

Imports of the project: starter, contract.golden, contract.metrics. Never torch. Start with session.py, then
commands/deploy.py. tests/unit/test_layers.py says which package in here may import which.
"""
