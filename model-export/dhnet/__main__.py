"""Command line: python -m dhnet profile|train|evaluate|strip|export|verify|sheet."""

import argparse
import json
import os
import sys
from pathlib import Path

# Read by OpenMP when torch is loaded. Its default is to spin for milliseconds at every barrier, which
# on a machine with other work wastes most of the time (measured: 1 instead of 14 patches/s).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from . import config as configs
from .config import UserError


def _profile(args: argparse.Namespace) -> None:
    from .profile import profile

    facts = profile(configs.load(args.config), args.height, args.width, args.repeats)
    if args.json:
        print(json.dumps(facts, indent=2))
        return
    print(f"{facts['name']}: {facts['parameters'] / 1e6:.2f} M parameters, {facts['macs'] / 1e9:.2f} GMACs ", end="")
    print(f"at 3×{facts['height']}×{facts['width']}, sides in multiples of {facts['pad_multiple']}")
    if "forward_ms" in facts:
        print(f"PyTorch forward pass: {facts['forward_ms']} ms on {facts['threads']} threads")


def _train(args: argparse.Namespace) -> None:
    from . import parallel
    from .train import train

    names = ("data", "out", "minutes", "steps", "resume", "warm", "device")
    arguments = {"config": configs.load(args.config), **{name: getattr(args, name) for name in names}}
    if args.processes == 1:
        train(**arguments)
    else:
        parallel.train_in(args.processes, arguments)


def _evaluate(args: argparse.Namespace) -> None:
    from . import evaluate, runtime

    if (args.pairs is None) == (args.sharp is None):
        raise UserError("evaluate: give either --pairs or --sharp")
    if args.sharp and args.update_manifest:
        raise UserError("evaluate: --update-manifest goes with --pairs")
    folder = runtime.model_folder(args.model)
    model = runtime.Model(folder, threads=args.threads)
    if args.sharp:
        rows = evaluate.evaluate_sharp(model, args.sharp, args.out)
        lines = [f"{r['name']}: {r['fidelity']['psnr']:.2f} dB, SSIM {r['fidelity']['ssim']:.4f}" for r in rows]
        print(json.dumps({"images": rows}, indent=2) if args.json else "\n".join(lines))
        return
    rows = evaluate.evaluate_pairs(model, args.pairs, args.out)
    summary = evaluate.averages(rows)
    if args.update_manifest:
        evaluate.update_manifest(folder, summary, rows)
    print(json.dumps({"sets": summary, "images": rows}, indent=2) if args.json else evaluate.table(summary))


def _strip(args: argparse.Namespace) -> None:
    from . import evaluate, runtime

    model = runtime.Model(runtime.model_folder(args.model), threads=0)
    evaluate.strip(model, args.blur, args.sharp, args.out, args.crop)


def _export(args: argparse.Namespace) -> None:
    from .export import export

    manifest = export(args.name, args.checkpoint, args.out, args.tile, args.strength)
    for v in manifest["variants"]:
        print(f"{args.out / v['file']}: {v['bytes']} bytes, sha256 {v['sha256']}")


def _verify(args: argparse.Namespace) -> int:
    from . import runtime, verify

    rows = verify.verify(runtime.model_folder(args.model), args.images)
    bad = [row for row in rows if not row["ok"]]
    if args.json:
        print(json.dumps({"ok": not bad, "checks": rows}, indent=2))
    else:
        for r in rows:
            mark = "ok" if r["ok"] else "FAILED"
            print(f"{mark:6} {r['variant']:8} {r['input']:24} max {r['max']:.3f} mean {r['mean']:.4f} levels of 255")
    return 1 if bad else 0


def _sheet(args: argparse.Namespace) -> None:
    from .sheet import sheet

    sheet(configs.load(args.config), args.data, args.out, args.rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dhnet", description="DHNet: train, measure and export a deblurring network.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        p = commands.add_parser(name, help=text, description=text)
        p.set_defaults(run=run)
        return p

    p = command("profile", _profile, "Parameters and MACs of a config.")
    p.add_argument("--config", type=Path, required=True, help="TOML file of the run")
    p.add_argument("--height", type=int, default=256)
    p.add_argument("--width", type=int, default=256)
    p.add_argument("--repeats", type=int, default=0, help="also time that many forward passes")
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command("train", _train, "Train, bounded by --minutes of wall time or by --steps; the learning rate ends at 0.")
    p.add_argument("--config", type=Path, required=True, help="TOML file of the run")
    p.add_argument("--data", type=Path, required=True, help="holds sharp*.tar or sharp/, pairs-train/, pairs-dev/")
    p.add_argument("--out", type=Path, required=True, help="folder for last.pt and checkpoint.safetensors")
    p.add_argument("--minutes", type=float, help="wall time of this call")
    p.add_argument("--steps", type=int, help="step number to stop at")
    p.add_argument("--resume", type=Path, help="checkpoint (.pt or .safetensors) to go on from")
    p.add_argument("--warm", action="store_true", help="take only the weights of --resume")
    p.add_argument("--processes", type=int, default=1, help="share every batch among so many processes (CPU)")
    p.add_argument("--device", default="cpu", help="cpu (default) or cuda")

    p = command("evaluate", _evaluate, "PSNR and SSIM of an exported model, per set, beside its input.")
    p.add_argument("--model", required=True, help="name under weights/, or a folder")
    p.add_argument("--pairs", type=Path, help="folder with blur/ and sharp/")
    p.add_argument("--sharp", type=Path, help="folder of sharp photos: measures how little they change")
    p.add_argument("--out", type=Path, help="folder for the restored pictures")
    p.add_argument("--threads", type=int, default=0, help="ONNX Runtime threads (0 = all cores)")
    p.add_argument("--update-manifest", action="store_true", help="write the result into manifest and evaluation.json")
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command("strip", _strip, "One picture of blurred, restored and sharp, side by side.")
    p.add_argument("--model", required=True, help="name under weights/, or a folder")
    p.add_argument("--blur", type=Path, required=True)
    p.add_argument("--sharp", type=Path, required=True)
    p.add_argument("--crop", type=int, nargs=4, metavar=("LEFT", "TOP", "WIDTH", "HEIGHT"), help="show this part only")
    p.add_argument("--out", type=Path, required=True, help="picture file")

    p = command("export", _export, "Write the ONNX files, the manifest and the slim checkpoint.")
    p.add_argument("name", help="name of the model, such as dhnet-edge")
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--tile", type=int, default=256, help="side of the service's tiles, in pixels (dhnet-edge: 192)")
    p.add_argument("--strength", type=float, default=1.0, help="factor of the residual, for sharp pictures' sake")

    p = command("verify", _verify, "Compare an exported model with PyTorch; exit status 1 on a mismatch.")
    p.add_argument("--model", required=True, help="name under weights/, or a folder")
    p.add_argument("--images", type=Path, help="folder of pictures to compare on as well")
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command("sheet", _sheet, "Contact sheet (PNG) of training pairs, input above target.")
    p.add_argument("--config", type=Path, required=True, help="TOML file of the run")
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True, help="PNG file")
    p.add_argument("--rows", type=int, default=4)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; an error the caller can mend is one line and exit status 1."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
