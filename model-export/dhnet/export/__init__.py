"""Checkpoint to ONNX files and manifest, and the check that both compute the same.

May import data, evaluation, layers, network and priors.
"""
