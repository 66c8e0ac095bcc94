"""Runs the commands with the arguments that __main__.py describes.

Every command imports its modules itself, so that `--help` is quick.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

from . import config as configs
from .errors import UserError


def run_profile(args: argparse.Namespace) -> None:
    from .research import network_cost

    paths = [*map(configs.named, args.names), *args.config] or configs.published()
    rows = []
    for path in paths:
        row = network_cost.profile(path, args.height, args.width, args.repeats)
        rows.append(network_cost.kept(row, args.out) if args.out else row)
        if not (args.json or args.markdown):
            print(network_cost.text(rows[-1]), flush=True)
    if args.json:
        print(json.dumps(rows, indent=2))
    elif args.markdown:
        print(network_cost.markdown(rows))


def run_train(args: argparse.Namespace) -> None:
    from .training import parallel
    from .training.train import train

    names = ("data", "out", "minutes", "cpu_minutes", "steps", "resume", "warm", "device", "prior")
    arguments = {"config": configs.load(args.config), **{name: getattr(args, name) for name in names}}
    if args.processes == 1:
        train(**arguments)
    else:
        parallel.train_in(args.processes, arguments)


def run_prior(args: argparse.Namespace) -> None:
    from .priors import maxim_package

    path = args.package or maxim_package.fetch(args.cache)
    size = maxim_package.convert(path, args.stages, args.out)
    print(f"{args.out}: MAXIM, {args.stages} of 3 stages, {size} parameters as float16")


def run_prior_speed(args: argparse.Namespace) -> None:
    from .research import prior_speed

    rows = prior_speed.measure(configs.load(args.config).model, args.prior, args.rounds)
    print(json.dumps(rows, indent=2) if args.json else prior_speed.markdown(rows))


def run_triplets(args: argparse.Namespace) -> None:
    from .data import triplets
    from .export.answers import answerer

    config = configs.load(args.config)
    share, wanted = _share(args.share), [_count(text) for text in args.kinds]
    prior = answerer(config.model, args.prior)
    made = triplets.measure(args.data, args.out, prior) if args.measured else 0
    made += triplets.make(args.data, args.out, config.data, prior, wanted, config.train.seed, share)
    print(f"{args.out}: {made} made")


def _share(text: str) -> tuple[int, int]:
    """ "2/3" → (1, 3)."""
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise UserError(f"triplets: --share must be I/N with I from 1 to N, not {text}")
    return int(first) - 1, int(count)


def _count(text: str) -> tuple[str, int]:
    """ "soft=600" → ("soft", 600)."""
    kind, _, count = text.partition("=")
    if kind not in configs.KINDS or not count.isdecimal():
        raise UserError(f"triplets: --kinds takes KIND=COUNT with a kind of {', '.join(configs.KINDS)}, not {text}")
    return kind, int(count)


def run_evaluate(args: argparse.Namespace) -> None:
    from .data.pictures import pictures
    from .data.published_datasets import published
    from .evaluation import (
        evaluate,
        gallery,
        known_blurs,
        markdown_tables,
        rivals,
        robustness,
        runtime,
        stored_results,
        text_legibility,
    )
    from .research import baselines

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
    model = runtime.Model(folder, threads=args.threads, scale=None if args.scale == "auto" else int(args.scale))
    pairs = evaluate.pair_sets(args.pairs) if args.pairs else []
    if args.dataset:
        pairs = published(args.dataset, args.data)
    others = baselines.restorations if args.baselines else None
    models = _beside(args)
    if models:
        others = rivals.beside(models, others)
    judge = evaluate.scores
    if (args.dataset or "").startswith("realblur"):
        from .evaluation.alignment import scores as judge
    photos = pictures(args.sharp) if args.sharp else []
    found: dict = {"version": model.manifest["version"]}
    if pairs:
        found["images"] = evaluate.evaluate_pairs(model, pairs, args.out, others, judge)
        found["sets"] = evaluate.averages(found["images"])
    if photos:
        found["sharp"] = evaluate.evaluate_sharp(model, photos, args.out)
        if models:
            found["sharp_beside"] = rivals.unharmed(models, photos)
    if args.robustness:
        found["robustness"] = robustness.measure(model, pairs, photos)
        found["text"] = text_legibility.measure(model)
        if photos:
            found["known"] = known_blurs.measure(model, photos)
    if args.gallery:
        found["gallery"] = gallery.gallery(model, pairs, photos, args.gallery)
    if args.update_manifest:
        stored_results.store(folder, found)
    print(json.dumps(found, indent=2) if args.json else markdown_tables.show(found))


def run_scales(args: argparse.Namespace) -> None:
    from .data.pictures import pictures
    from .evaluation import evaluate, runtime, scale_table

    model = runtime.Model(runtime.model_folder(args.model), threads=args.threads)
    photos = pictures(args.sharp) if args.sharp else []
    rows = scale_table.measure(model, evaluate.pair_sets(args.pairs), photos, args.side, args.out)
    print(json.dumps(scale_table.summary(rows), indent=2) if args.json else scale_table.markdown(rows))


def _beside(args: argparse.Namespace) -> dict:
    """What restores a picture, by the name of each model that is measured beside the first."""
    from .evaluation import rivals, runtime
    from .export.answers import alone

    models = {}
    for name in args.beside:
        model = runtime.Model(runtime.model_folder(name), threads=args.threads)
        models[model.manifest["name"]] = model.restore
    for path in args.prior_alone:
        stages, answer = alone(path, threads=args.threads)
        models[f"MAXIM, {stages} of 3 stages"] = rivals.tiled(answer)
    return models


def run_baselines(args: argparse.Namespace) -> None:
    from .data.pictures import read
    from .evaluation import evaluate
    from .research import baselines

    pictures = [(read(p.blur), read(p.sharp)) for p in evaluate.pair_sets(args.pairs)]
    for method in baselines.STRENGTHS:
        choice, gain = baselines.choose_for(method, pictures)
        print(f"{method}: {choice.kernel}, strength {choice.strength:g}: {gain:+.2f} dB on {len(pictures)} pictures")


def run_blurs(args: argparse.Namespace) -> None:
    from .research import blur_statistics

    if (args.pairs is None) == (args.config is None) or (args.config is None) != (args.data is None):
        raise UserError("blurs: give either --pairs, or --config and --data")
    if args.pairs:
        rows = blur_statistics.summary(blur_statistics.real_patches(args.pairs))
    else:
        rows = blur_statistics.summary(
            blur_statistics.synthetic_patches(configs.load(args.config), args.data, args.count)
        )
    print(json.dumps(rows, indent=2) if args.json else blur_statistics.table(rows))


def run_compare(args: argparse.Namespace) -> None:
    from .research import variant_comparison

    rows = variant_comparison.compare(args.configs, args.data, args.out, args.cpu_minutes, args.processes)
    print(json.dumps(rows, indent=2) if args.json else variant_comparison.markdown(rows))


def run_throughput(args: argparse.Namespace) -> None:
    from .training import training_speed

    rows = training_speed.measure(configs.load(args.config), args.device, args.steps, args.compile)
    print(json.dumps(rows, indent=2) if args.json else training_speed.markdown(rows))


def run_speed(args: argparse.Namespace) -> None:
    from .evaluation import restoration_speed

    measured = (args.model, args.device, args.batch, args.seconds, args.prior)
    if args.in_turns:
        for rows in restoration_speed.rounds(*measured, turns=sys.stdin):
            print(json.dumps(rows), flush=True)
        return
    rows = restoration_speed.measure(*measured)
    print(json.dumps(rows, indent=2) if args.json else restoration_speed.markdown(rows))


def run_curve(args: argparse.Namespace) -> None:
    from .research import learning_curve

    learning_curve.curve(args.history, args.out, args.name)
    print((args.out / f"{args.name}-learning-curve.md").read_text(), end="")


def run_card(args: argparse.Namespace) -> int:
    from .evaluation import model_card

    if model_card.write(args.card, args.check):
        return 0
    print(f"{args.card}: {'the figures differ from evaluation.json; run `card`' if args.check else 'renewed'}")
    return 1 if args.check else 0


def run_strip(args: argparse.Namespace) -> None:
    from .evaluation import runtime
    from .evaluation.side_by_side import strip

    model = runtime.Model(runtime.model_folder(args.model), threads=0)
    strip(model, args.blur, args.sharp, args.out, args.crop)


def run_export(args: argparse.Namespace) -> None:
    from .export.export import export

    names = ("tile", "strength", "prior", "dtypes", "weights", "batch", "fixed", "url_base")
    manifest = export(args.name, args.checkpoint, args.out, **{name: getattr(args, name) for name in names})
    variants = manifest["variants"]
    for v in [*variants, *variants[0].get("external_data", [])]:
        print(f"{args.out / v['file']}: {v['bytes']} bytes, sha256 {v['sha256']}")


def run_import(args: argparse.Namespace) -> None:
    from .export.published_weights import gateway_line, import_published

    name = args.name or args.network
    out = args.out or Path("models") / name
    manifest = import_published(args.network, args.file, out, name, args.source, args.licence)
    for v in manifest["variants"]:
        print(f"{out / v['file']}: {v['bytes']} bytes, sha256 {v['sha256']}")
    print(f"for the runner:  MODEL_DIR={shlex.quote(str(out.resolve().parent))}")
    print(f"for the gateway: {gateway_line(manifest)}")


def run_verify(args: argparse.Namespace) -> int:
    from .evaluation import runtime
    from .export import verify

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
    from .data.contact_sheet import sheet

    sheet(configs.load(args.config), args.data, args.out, args.rows)
