"""Our images beside the smallest honest peer image for the same job: builds and weighs both.

Imports deploy.images. Open __main__.py first. scripts/ holds the peers' programs.
"""
