"""The pictures: archives are unpacked, class folders are scanned into an Index, and batches are decoded.

Imports nothing else of `train`. Open `index` first.
"""
