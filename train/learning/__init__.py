"""The learning: initial weights, features, the training loop, checkpoints, evaluation and communication between ranks.

May import `train.pictures`. Open `loop` first.
"""
