"""One module for each peer: its value PEER says how to install, start and address it. Imports only serving/peer.py.

Open litserve.py first.
"""
