"""The host of a training: its machine, SageMaker's environment, and the ranks as supervised processes.

Imports nothing else of `train`, and never torch: it runs in the supervisor. Open `environment` first.
"""
