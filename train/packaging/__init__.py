"""The packaging of a trained network: export to ONNX, quantisation, the choice of the inference engine, the artifact.

May import `train.learning`, `train.pictures`, `train.reporting` and `train.job`. Open `finish` first.
"""
