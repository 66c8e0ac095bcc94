"""DHNet: the network of the paper, its checkpoints, and native kernels for a CPU.

May import layers and priors.
"""
