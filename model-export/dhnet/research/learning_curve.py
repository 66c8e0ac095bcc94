"""Fits and draws the learning curve: gain against patches seen, and its extrapolation.

Two laws are fitted by least squares: a power law a·pᵇ, which never levels off, and a logarithm a + b·ln p, which gains
the same at every doubling. The truth of one run usually lies between or below the two, because both ignore the limits
of a network of a given size and of a given set of photos. A back-test shows how good they are: the laws are fitted to
the points of the first patches / BACKTEST and predict the last point.

Only the last part of the curve counts, because its beginning rises faster than either law. b of the power law is at
most 1, because a larger b would mean that learning speeds up. An aim that a law reaches only beyond HORIZON times the
longest run is called out of sight.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..network import checkpoint

AIMS = {"gopro-crops": 1.0, "gopro-frames": 2.0, "reds-frames": 1.0}  # dB over the input
HORIZON = 30  # times the patches measured
DRAWS = 400  # of the bootstrap
INTERVAL = (10, 90)  # percentiles
BACKTEST = 1.5
TAIL = 6  # points below 1/TAIL of the last number of patches are not fitted

_DEV = re.compile(r"^dev at step \d+, (\d+) patches, (\d+) s: (.*)$", re.MULTILINE)
_SET = re.compile(r"([\w-]+) ([\d.]+) → ([\d.]+)")


@dataclass(frozen=True)
class Point:
    """One measurement while training: the gain over the blurred input in dB, per set."""

    patches: int
    seconds: int
    gain: dict[str, float]


def points(path: Path) -> list[Point]:
    """Returns the points of a training log, or of the history in a checkpoint (.pt or .safetensors)."""
    if path.suffix in (".pt", ".safetensors"):
        state = checkpoint.load(path)
        batch = state["config"]["train"]["batch"]
        return [
            Point(h.get("patches", h["step"] * batch), h["seconds"], {s: b - a for s, (a, b) in h["psnr"].items()})
            for h in state["history"]
        ]
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable log: {error}") from None
    return [
        Point(int(n), int(s), {name: float(b) - float(a) for name, a, b in _SET.findall(rest)})
        for n, s, rest in _DEV.findall(text)
    ]


def merged(paths: list[Path]) -> list[Point]:
    """Returns the points of all files in order, one per number of patches."""
    found = {p.patches: p for path in paths for p in points(path) if p.patches > 0}
    return [found[key] for key in sorted(found)]


def power(patches: np.ndarray, gain: np.ndarray) -> tuple[float, float]:
    """Returns (a, b) of gain = a·pᵇ, b ≤ 1, by least squares of log gain; gains below 0.01 dB count as 0.01 dB."""
    slope, level = np.polyfit(np.log(patches), np.log(np.maximum(gain, 0.01)), 1)
    if slope > 1:
        slope, level = 1.0, np.log(np.maximum(gain, 0.01) / patches).mean()
    return float(np.exp(level)), float(slope)


def logarithm(patches: np.ndarray, gain: np.ndarray) -> tuple[float, float]:
    """Returns (a, b) of gain = a + b·ln p by least squares."""
    slope, level = np.polyfit(np.log(patches), gain, 1)
    return float(level), float(slope)


LAWS = {
    "power": (power, lambda c, p: c[0] * p ** c[1]),
    "logarithm": (logarithm, lambda c, p: c[0] + c[1] * np.log(p)),
}


def inverse(law: str, c: tuple[float, float], aim: float) -> float:
    """Returns the patches at which a law reaches `aim` dB; infinite if the law does not rise."""
    if c[1] <= 0:
        return float("inf")
    exponent = np.log(aim / c[0]) / c[1] if law == "power" else (aim - c[0]) / c[1]
    return float(np.exp(min(exponent, 700)))


def extrapolate(law: str, patches: np.ndarray, gain: np.ndarray, aim: float) -> dict:
    """Returns a law's coefficients, residual, gain at ten times the patches and patches for the aim.

    The last two come with intervals from resampled residuals, which hold the scatter of the points but not the
    uncertainty of the law.
    """
    fit, value = LAWS[law]
    c = fit(patches, gain)
    residual, rng = gain - value(c, patches), np.random.default_rng(0)
    draws = [fit(patches, value(c, patches) + rng.choice(residual, len(gain))) for _ in range(DRAWS)]
    far = 10 * patches.max()
    return {
        "a": c[0],
        "b": c[1],
        "residual": float(residual.std()),
        "at_ten_times": [
            float(value(c, far)),
            *(float(q) for q in np.percentile([value(d, far) for d in draws], INTERVAL)),
        ],
        "patches": [
            inverse(law, c, aim),
            *np.percentile([min(inverse(law, d, aim), 1e30) for d in draws], INTERVAL).tolist(),
        ],
    }


def predicted(law: str, patches: np.ndarray, gain: np.ndarray) -> dict:
    """Returns the last point as the law predicts it from the earlier points; empty if there are too few of them."""
    early = patches * BACKTEST <= patches[-1]
    if early.sum() < 4:
        return {}
    fit, value = LAWS[law]
    return {"predicted": float(value(fit(patches[early], gain[early]), patches[-1]))}


def report(found: list[Point]) -> list[dict]:
    """Returns a row per set of AIMS: the last and best gain, the rate of training, and both laws."""
    rows = []
    for name, aim in AIMS.items():
        kept = [p for p in found if name in p.gain and p.patches * TAIL >= found[-1].patches]
        if len(kept) < 4:
            continue
        patches = np.array([p.patches for p in kept], float)
        gain = np.array([p.gain[name] for p in kept])
        rows.append({"set": name, "aim": aim, "last": float(gain[-1]), "best": float(gain.max())})
        rows[-1] |= {law: extrapolate(law, patches, gain, aim) | predicted(law, patches, gain) for law in LAWS}
    if not rows:
        raise UserError(f"curve: fewer than four measurements of {', '.join(AIMS)} in the last part of the training")
    return rows


def amount(patches: float, horizon: float) -> str:
    """Returns patches as text, in thousands or millions."""
    if patches > horizon:
        return "out of sight"
    return f"{patches / 1e6:.1f} M" if patches >= 1e6 else f"{patches / 1e3:.0f} k"


def markdown(found: list[Point], rows: list[dict]) -> str:
    """Returns the table for documents."""
    last, horizon = found[-1], HORIZON * found[-1].patches
    speed = (last.patches - found[0].patches) / max(last.seconds - found[0].seconds, 1)
    lines = [
        f"{len(found)} measurements up to {last.patches:,} patches, {speed:.0f} patches/s. Gain in dB over the blurred",
        f"input; in brackets the {INTERVAL[0]}–{INTERVAL[1]} % range of a bootstrap over the points' scatter. “Out of",
        f"sight” means beyond {HORIZON} times the patches measured. “Predicted” is the last gain as the law predicts",
        f"it from the points up to {last.patches / BACKTEST:,.0f} patches.",
        "",
        "Both laws rise without limit, but the network and its photos have limits: the power law at ten times the",
        "patches is no forecast (DHNet of full size gains about 9 dB on GoPro, after training on all of GoPro).",
        "",
        "| set | now | law | predicted | at 10 × the patches | patches for the aim |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        for law in LAWS:
            x = r[law]
            at, low, high = x["at_ten_times"]
            before = f"{x['predicted']:+.2f}" if "predicted" in x else "–"
            need, first, final = (amount(p, horizon) for p in x["patches"])
            lines.append(
                f"| {r['set']} | {r['last']:+.2f} | {law} | {before} | {at:+.2f} ({low:+.2f} … {high:+.2f}) "
                f"| +{r['aim']:.1f} dB: {need}"
                + (f" ({first} … {final}) |" if need != first or need != final else " |")
            )
    return "\n".join(lines) + "\n"


COLOURS = {"gopro-crops": "#2563eb", "gopro-frames": "#d97706", "reds-frames": "#059669"}
WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT = 720, 400, 56, 44, 130  # of the drawing, pixels


def svg(found: list[Point], rows: list[dict]) -> str:
    """Returns an SVG of the points and of both laws up to ten times the patches, dashed where nothing was measured."""
    first, last = found[0].patches, found[-1].patches
    top = 0.2 + max(max(r["best"], *(r[law]["at_ten_times"][0] for law in LAWS)) for r in rows)
    low = min(0.0, *(p.gain[r["set"]] for p in found for r in rows if r["set"] in p.gain))
    span = np.log10(10 * last / first)

    def xy(p: float, g: float) -> str:
        x = LEFT + (WIDTH - LEFT - RIGHT) * np.log10(p / first) / span
        return f"{x:.1f},{HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 16) * (g - low) / (top - low):.1f}"

    def line(points: str, extra: str) -> str:
        return f'<polyline points="{points}" fill="none" {extra}/>'

    def label(at: str, text: str, extra: str = "") -> str:
        x, y = at.split(",")
        return f'<text x="{x}" y="{y}" {extra}>{text}</text>'

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12" fill="#444"><title>Gain over the blurred input against patches seen</title>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for g in np.arange(np.ceil(low / 0.5) * 0.5, top, 0.5):
        out.append(line(f"{xy(first, g)} {xy(10 * last, g)}", 'stroke="#ddd"'))
        out.append(label(xy(first, g), f"{g:+.1f} dB", 'dx="-6" dy="4" text-anchor="end"'))
    for p in (q * 10**e for e in range(3, 10) for q in (1, 3)):
        if first <= p <= 10 * last:
            out.append(
                label(xy(p, low), f"{p // 1000} k" if p < 1e6 else f"{p / 1e6:g} M", 'dy="18" text-anchor="middle"')
            )
    out.append(label(f"{(LEFT + WIDTH - RIGHT) / 2},{HEIGHT - 6}", "patches seen", 'text-anchor="middle"'))
    for r in rows:
        colour, name = COLOURS[r["set"]], r["set"]
        for law, dash in zip(LAWS, ("6 4", "2 4"), strict=True):
            value, c = LAWS[law][1], (r[law]["a"], r[law]["b"])
            path = " ".join(xy(p, value(c, p)) for p in np.geomspace(last, 10 * last, 20))
            out.append(line(path, f'stroke="{colour}" stroke-dasharray="{dash}"'))
            out.append(
                label(
                    xy(10 * last, value(c, 10 * last)), f"{name}, {law}", f'dx="4" dy="4" fill="{colour}" font-size="9"'
                )
            )
        kept = [p for p in found if name in p.gain]
        out.append(line(" ".join(xy(p.patches, p.gain[name]) for p in kept), f'stroke="{colour}" stroke-width="1.5"'))
        for p in kept:
            x, y = xy(p.patches, p.gain[name]).split(",")
            out.append(f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>')
    return "\n".join([*out, "</svg>"]) + "\n"


def curve(paths: list[Path], out: Path, name: str) -> dict:
    """Writes OUT/NAME-learning-curve.{svg,md,json} and returns the report."""
    found = merged(paths)
    rows = report(found)
    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"{name}-learning-curve"
    stem.with_suffix(".svg").write_text(svg(found, rows))
    stem.with_suffix(".md").write_text(markdown(found, rows))
    facts = {"points": [{"patches": p.patches, "seconds": p.seconds, "gain": p.gain} for p in found], "sets": rows}
    stem.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    return facts
