"""As much of Cog's interface as a predictor imports; the real package brings a server that nobody needs here."""

from typing import Any


class BasePredictor:
    pass


def Input(default: Any = ..., **_: Any) -> Any:  # noqa: N802
    return default
