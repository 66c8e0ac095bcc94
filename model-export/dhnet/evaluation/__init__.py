"""Measuring models on pictures, through the path that the product runs, and writing down the results.

May import data and network.
"""
