"""Frozen networks whose features DHNet-B's DDRE reads (eq. 10); NAFNet and UFPNet are its baselines as well.

`Prior(load_published("UFPNet.pth", UFPNet()))` maps an image to its `Features`.
"""

from .features import Features, Prior, multiply_accumulates
from .loading import load_published, published_state
from .nafnet import NAFNet
from .ufpnet import UFPNet

__all__ = ["Features", "NAFNet", "Prior", "UFPNet", "load_published", "multiply_accumulates", "published_state"]
