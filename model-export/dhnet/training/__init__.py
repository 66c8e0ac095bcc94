"""Training: losses, optimiser steps, one run in several processes.

May import data, evaluation and network.
"""
