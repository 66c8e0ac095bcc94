"""Shows evaluation.json as Markdown tables, one function for each table."""

from collections.abc import Iterable


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Returns a Markdown table."""
    heads = tuple(heads)
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ("---",) * len(heads), *rows))


def sets(found: dict) -> str:
    """Shows PSNR and SSIM of the blurred input and of the output for every set."""
    heads = ("set", "images", "input PSNR", "output PSNR", "gain", "input SSIM", "output SSIM")
    return table(heads, (_set_row(s) for s in found["sets"]))


def _set_row(s: dict) -> tuple[str, ...]:
    a, b = s["input"], s["output"]
    gain = f"{b['psnr'] - a['psnr']:+.2f}"
    psnrs = (f"{a['psnr']:.2f}", f"{b['psnr']:.2f}")
    return (s["set"], str(s["images"]), *psnrs, gain, f"{a['ssim']:.4f}", f"{b['ssim']:.4f}")


def baselines(found: dict) -> str:
    """Shows PSNR of all methods for every set, with SSIM in brackets."""
    names = [s["set"] for s in found["sets"]]

    def line(label: str, values: list[dict]) -> tuple[str, ...]:
        return (label, *(f"{v['psnr']:.2f} ({v['ssim']:.3f})" for v in values))

    rows = [line("blurred input", [s["input"] for s in found["sets"]])]
    for kind, label in (("fixed", "parameters from training pairs"), ("oracle", "oracle")):
        for method in found["sets"][0].get(kind, ()):
            rows.append(line(f"{method}, {label}", [s[kind][method] for s in found["sets"]]))
    rows.append(line("**this model**", [s["output"] for s in found["sets"]]))
    return table(("PSNR (SSIM)", *names), rows)


def models(found: dict) -> str:
    """Gain in dB per set of this model and of those beside it, and the least PSNR of a sharp photo to itself."""
    others = found["sets"][0]["beside"]
    sharp = found.get("sharp_beside", {})

    def least(rows: list[dict] | None) -> str:
        return f"{min(r['fidelity']['psnr'] for r in rows):.2f}" if rows else "–"

    def gains(scores: list[dict]) -> list[str]:
        pairs = zip(scores, found["sets"], strict=True)
        return [f"{score['psnr'] - s['input']['psnr']:+.2f}" for score, s in pairs]

    rows = [(name, *gains([s["beside"][name] for s in found["sets"]]), least(sharp.get(name))) for name in others]
    rows.append(("**this model**", *gains([s["output"] for s in found["sets"]]), least(found.get("sharp"))))
    return table(("gain in dB", *(s["set"] for s in found["sets"]), "sharp photos, least"), rows)


def images(found: dict) -> str:
    """Shows every pair, the largest gain first."""
    ranked = sorted(found["images"], key=lambda r: r["input"]["psnr"] - r["output"]["psnr"])
    return table(("picture", *("input PSNR", "output PSNR", "gain")), (_image_row(r) for r in ranked))


def _image_row(r: dict) -> tuple[str, ...]:
    a, b = r["input"]["psnr"], r["output"]["psnr"]
    return r["name"], f"{a:.2f}", f"{b:.2f}", f"{b - a:+.2f}"


def sharp(found: dict) -> str:
    """Shows how much the network changes sharp photos."""
    rows = ((r["name"], f"{r['fidelity']['psnr']:.2f}", f"{r['fidelity']['ssim']:.4f}") for r in found["sharp"])
    return table(("sharp photo", "PSNR(output, input)", "SSIM"), rows)


def robustness(found: dict) -> str:
    """Shows what becomes of JPEG compression and noise."""
    heads = ("set", "input", "PSNR in → out", "gain", "amplification", "roughness in → out", "blockiness in → out")
    return table(heads, (_robustness_row(r) for r in found["robustness"]))


def _robustness_row(r: dict) -> tuple[str, ...]:
    a, b = r["input"], r["output"]
    what = f"JPEG {r['level']}" if r["kind"] == "jpeg" else f"noise σ {r['level']}"
    blocks = f"{a['blocks']:.2f} → {b['blocks']:.2f}" if r["kind"] == "jpeg" else "–"
    gain = f"{b['psnr'] - a['psnr']:+.2f}"
    pair = f"{a['psnr']:.2f} → {b['psnr']:.2f}"
    return r["set"], what, pair, gain, f"{r['amplification']:.2f}", f"{a['rough']:.2f} → {b['rough']:.2f}", blocks


def known(found: dict) -> str:
    """Shows photos that were blurred by a known kernel."""
    heads = ("blur", "input PSNR", "output PSNR", "gain", "input again", "output again", "face in → out")
    return table(heads, (_known_row(r) for r in found["known"]))


def _known_row(r: dict) -> tuple[str, ...]:
    what = f"motion {r['size']:g} px" if r["kind"] == "motion" else f"defocus, radius {r['size']:g} px"
    gain = f"{r['output'] - r['input']:+.2f}"
    face = f"{r['face']['input']:.2f} → {r['face']['output']:.2f}" if "face" in r else "–"
    figures = (f"{r[key]:.2f}" for key in ("input", "output"))
    return (what, *figures, gain, f"{r['untouched']:.2f}", f"{r['consistency']:.2f}", face)


def text(found: dict) -> str:
    """Shows how legible rendered letters are."""
    heads = ("type", "motion", "PSNR in → out", "letters read in → out", "spoilt", "stain")
    return table(heads, (_text_row(r) for r in found["text"]))


def _text_row(r: dict) -> tuple[str, ...]:
    a, b = r["input"], r["output"]
    readable = f"{100 * a['readable']:.0f} % → {100 * b['readable']:.0f} %"
    motion = f"{r['length']} px" if r["length"] else "none"
    psnrs = f"{a['psnr']:.2f} → {b['psnr']:.2f}"
    return f"{r['height']} px", motion, psnrs, readable, f"{100 * r['spoilt']:.0f} %", f"{r['stain']:.0f}"


TABLES = {
    "sets": sets,
    "baselines": baselines,
    "models": models,
    "images": images,
    "sharp": sharp,
    "robustness": robustness,
    "known": known,
    "text": text,
}
# The part of evaluation.json that a table shows, where the names differ.
PARTS = {"baselines": "sets", "models": "sharp_beside"}


def show(found: dict) -> str:
    """Returns all tables whose part was measured, one below the other."""
    names = [name for name in TABLES if PARTS.get(name, name) in found]
    if "fixed" not in found.get("sets", [{}])[0]:
        names = [name for name in names if name != "baselines"]
    if "beside" not in found.get("sets", [{}])[0]:
        names = [name for name in names if name != "models"]
    return "\n\n".join(TABLES[name](found) for name in names if name != "images")
