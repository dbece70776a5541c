"""The contract between training and serving: hyperparameters, pictures, networks, engines, metrics and the artifact.

Imports no other package of the project, and only `models` imports torch; deployment reads `hyperparameters`, `metrics`
and `golden`, which need the standard library only. Open `artifact` first: it describes the files of a trained model.
"""
