"""How fast Kennel trains: what runs beside torch, in an environment of the training image's packages or in the image.

`cases` and `launching` need no torch: the commands in benchmarks/ share them with what they start.
"""
