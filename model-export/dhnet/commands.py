"""What each command does with its arguments; __main__.py describes them.

Each imports what it needs, so that help is quick.
"""

import argparse
import json
import sys

from . import config as configs
from .config import UserError


def run_profile(args: argparse.Namespace) -> None:
    from . import profile

    paths = [*map(configs.named, args.names), *args.config] or configs.published()
    rows = []
    for path in paths:
        row = profile.profile(path, args.height, args.width, args.repeats)
        rows.append(profile.kept(row, args.out) if args.out else row)
        if not (args.json or args.markdown):
            print(profile.text(rows[-1]), flush=True)
    if args.json:
        print(json.dumps(rows, indent=2))
    elif args.markdown:
        print(profile.markdown(rows))


def run_train(args: argparse.Namespace) -> None:
    from . import parallel
    from .train import train

    names = ("data", "out", "minutes", "cpu_minutes", "steps", "resume", "warm", "device", "prior")
    arguments = {"config": configs.load(args.config), **{name: getattr(args, name) for name in names}}
    if args.processes == 1:
        train(**arguments)
    else:
        parallel.train_in(args.processes, arguments)


def run_evaluate(args: argparse.Namespace) -> None:
    from . import evaluate, gallery, known, results, robustness, runtime, tables, text
    from .data import pictures
    from .datasets import published

    if (args.dataset is None) != (args.data is None) or (args.dataset and args.pairs):
        raise UserError("evaluate: give --dataset with --data, or --pairs")
    if not (args.pairs or args.sharp or args.dataset):
        raise UserError("evaluate: give --pairs, --dataset or --sharp")
    if args.gallery and not (args.pairs and args.sharp):
        raise UserError("evaluate: --gallery needs --pairs and --sharp")
    if args.robustness and args.update_manifest and not (args.pairs and args.sharp):
        raise UserError("evaluate: --robustness is stored only with both --pairs and --sharp")
    if args.update_manifest and args.dataset:
        raise UserError("evaluate: --update-manifest keeps what --pairs measured, not a published dataset")
    folder = runtime.model_folder(args.model)
    model = runtime.Model(folder, threads=args.threads)
    pairs = evaluate.pair_sets(args.pairs) if args.pairs else []
    if args.dataset:
        pairs = published(args.dataset, args.data)
    judge = evaluate.scores
    if (args.dataset or "").startswith("realblur"):
        from .alignment import scores as judge
    photos = pictures(args.sharp) if args.sharp else []
    found: dict = {"version": model.manifest["version"]}
    if pairs:
        found["images"] = evaluate.evaluate_pairs(model, pairs, args.out, args.baselines, judge)
        found["sets"] = evaluate.averages(found["images"])
    if photos:
        found["sharp"] = evaluate.evaluate_sharp(model, photos, args.out)
    if args.robustness:
        found["robustness"] = robustness.measure(model, pairs, photos)
        found["text"] = text.measure(model)
        if photos:
            found["known"] = known.measure(model, photos)
    if args.gallery:
        found["gallery"] = gallery.gallery(model, pairs, photos, args.gallery)
    if args.update_manifest:
        results.store(folder, found)
    print(json.dumps(found, indent=2) if args.json else tables.show(found))


def run_baselines(args: argparse.Namespace) -> None:
    from . import baselines, evaluate
    from .data import read

    pictures = [(read(p.blur), read(p.sharp)) for p in evaluate.pair_sets(args.pairs)]
    for method in baselines.STRENGTHS:
        choice, gain = baselines.choose_for(method, pictures)
        print(f"{method}: {choice.kernel}, strength {choice.strength:g}: {gain:+.2f} dB on {len(pictures)} pictures")


def run_blurs(args: argparse.Namespace) -> None:
    from . import blurs

    if (args.pairs is None) == (args.config is None) or (args.config is None) != (args.data is None):
        raise UserError("blurs: give either --pairs, or --config and --data")
    if args.pairs:
        rows = blurs.summary(blurs.real_patches(args.pairs))
    else:
        rows = blurs.summary(blurs.synthetic_patches(configs.load(args.config), args.data, args.count))
    print(json.dumps(rows, indent=2) if args.json else blurs.table(rows))


def run_compare(args: argparse.Namespace) -> None:
    from . import compare

    rows = compare.compare(args.configs, args.data, args.out, args.cpu_minutes, args.processes)
    print(json.dumps(rows, indent=2) if args.json else compare.markdown(rows))


def run_throughput(args: argparse.Namespace) -> None:
    from . import throughput

    rows = throughput.measure(configs.load(args.config), args.device, args.steps, args.compile)
    print(json.dumps(rows, indent=2) if args.json else throughput.markdown(rows))


def run_speed(args: argparse.Namespace) -> None:
    from . import speed

    measured = (args.model, args.device, args.batch, args.seconds, args.prior)
    if args.in_turns:
        for rows in speed.rounds(*measured, turns=sys.stdin):
            print(json.dumps(rows), flush=True)
        return
    rows = speed.measure(*measured)
    print(json.dumps(rows, indent=2) if args.json else speed.markdown(rows))


def run_curve(args: argparse.Namespace) -> None:
    from . import curve

    curve.curve(args.history, args.out, args.name)
    print((args.out / f"{args.name}-learning-curve.md").read_text(), end="")


def run_card(args: argparse.Namespace) -> int:
    from . import card

    if card.write(args.card, args.check):
        return 0
    print(f"{args.card}: {'its figures are not those of evaluation.json' if args.check else 'renewed'}")
    return 1 if args.check else 0


def run_strip(args: argparse.Namespace) -> None:
    from . import runtime
    from .strip import strip

    model = runtime.Model(runtime.model_folder(args.model), threads=0)
    strip(model, args.blur, args.sharp, args.out, args.crop)


def run_export(args: argparse.Namespace) -> None:
    from .export import export

    names = ("tile", "strength", "prior", "dtypes", "weights", "batch", "fixed", "url_base")
    manifest = export(args.name, args.checkpoint, args.out, **{name: getattr(args, name) for name in names})
    variants = manifest["variants"]
    for v in [*variants, *variants[0].get("external_data", [])]:
        print(f"{args.out / v['file']}: {v['bytes']} bytes, sha256 {v['sha256']}")


def run_verify(args: argparse.Namespace) -> int:
    from . import runtime, verify

    rows = verify.verify(runtime.model_folder(args.model), args.images, args.prior)
    bad = [row for row in rows if not row["ok"]]
    if args.json:
        print(json.dumps({"ok": not bad, "checks": rows}, indent=2))
    else:
        for r in rows:
            mark = "ok" if r["ok"] else "FAILED"
            print(f"{mark:6} {r['variant']:8} {r['input']:24} max {r['max']:.3f} mean {r['mean']:.4f} levels of 255")
    return 1 if bad else 0


def run_sheet(args: argparse.Namespace) -> None:
    from .sheet import sheet

    sheet(configs.load(args.config), args.data, args.out, args.rows)
