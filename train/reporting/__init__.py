"""The report of a training: report.html, drawings, CSV files and metrics.json; and the progress line on a terminal.

May import `train.pictures`. Open `report` first.
"""
