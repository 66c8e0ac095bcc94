"""Studies beside the product: learning curve, classical baselines, choice of a network, statistics of blur, costs.

May import every other room; no other room imports it.
"""
