"""Frozen networks whose knowledge DHNet-B's DDRE reads (eq. 10); NAFNet and UFPNet are its baselines as well.

`Prior(load_published("UFPNet.pth", UFPNet()))` maps an image to its `Features`; `Answers(…)` of a MAXIM maps it to the
restored picture.
"""

from .features import Answers, Features, Prior, multiply_accumulates
from .loading import load_published, published_state
from .maxim import Maxim
from .nafnet import NAFNet
from .ufpnet import UFPNet

__all__ = [
    "Answers",
    "Features",
    "Maxim",
    "NAFNet",
    "Prior",
    "UFPNet",
    "load_published",
    "multiply_accumulates",
    "published_state",
]
