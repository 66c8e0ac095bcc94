"""Triplets made ahead: the same whoever makes them and however often, and what training cuts from them."""

import io
import tarfile

import numpy as np
import pytest
import torch
from conftest import picture
from dhnet import config as configs
from dhnet.__main__ import main
from dhnet.config import DataConfig
from dhnet.data import triplets
from dhnet.network import checkpoint
from dhnet.priors import Maxim
from PIL import Image
from safetensors.torch import save_file

WANTED = [("soft", 2), ("sharp", 1), ("still", 1), ("synthetic", 2), ("real", 3)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos in a tar, and real pairs of training and development, as the training data lie."""
    folder = tmp_path_factory.mktemp("photos")
    with tarfile.open(folder / "sharp-00.tar", "w") as tar:
        for i in range(3):
            data = io.BytesIO()
            Image.fromarray(picture(448, 448, i)).save(data, "PNG")
            member = tarfile.TarInfo(f"sharp/{i}.png")
            member.size = data.tell()
            data.seek(0)
            tar.addfile(member, data)
    for kind, size in (("pairs-train", (300, 420)), ("pairs-dev", (256, 520))):
        for side in ("blur", "sharp"):
            (folder / kind / side).mkdir(parents=True)
            Image.fromarray(picture(*size, 7 + (side == "blur"))).save(folder / kind / side / "reds_1.png")
    (folder / "kodak").mkdir()
    Image.fromarray(picture(256, 512, 4)).save(folder / "kodak" / "k.png")
    return folder


def darker(image: torch.Tensor) -> torch.Tensor:
    """A prior that is easily recognised."""
    return image * 0.5 - 0.01


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_stopping_and_sharing_change_nothing_of_what_is_made(tmp_path, photos):
    config = DataConfig(soft=0.5, soft_identity=0.5)
    assert triplets.make(photos, tmp_path / "once", config, darker, WANTED) == 9
    whole = contents(tmp_path / "once")
    assert list(whole) == sorted(f"{kind}-{i:05d}.npy" for kind, count in WANTED for i in range(count))
    for share in ((1, 2), (0, 2)):
        triplets.make(photos, tmp_path / "shared", config, darker, WANTED, share=share)
    assert contents(tmp_path / "shared") == whole
    (tmp_path / "once" / "real-00001.npy").unlink()
    assert triplets.make(photos, tmp_path / "once", config, darker, WANTED) == 1
    assert contents(tmp_path / "once") == whole


def test_a_triplet_is_blurred_answer_and_sharp_and_sharp_kinds_come_back_as_they_are(tmp_path, photos):
    triplets.make(photos, tmp_path, DataConfig(noise=0, jpeg=0, identity=0), darker, WANTED)
    for path in tmp_path.iterdir():
        blur, answer, sharp = np.load(path)
        assert blur.shape == (256, 256, 3)
        expected = np.clip(blur.astype(np.float32) / 255 * 0.5 - 0.01, 0, 1) * 255
        assert np.abs(answer - expected).max() <= 0.51
        identity = path.name.startswith(("soft", "sharp", "still"))
        assert np.array_equal(blur, sharp) == identity


def test_measured_triplets_are_whole_cuts_of_the_pairs_and_photos_that_are_never_trained_on(tmp_path, photos):
    assert triplets.measure(photos, tmp_path, darker) == 4
    assert triplets.measure(photos, tmp_path, darker) == 0
    found = triplets.measured(tmp_path)
    assert [(label, name) for label, name, _ in found] == [("reds-frames", "reds_1")] * 2 + [("sharp", "k")] * 2
    frame = np.asarray(Image.open(photos / "pairs-dev" / "blur" / "reds_1.png"))
    assert np.array_equal(found[1][2][0], frame[:256, 256:512])


def test_a_batch_has_the_kinds_in_their_shares_and_is_the_same_every_time(tmp_path):
    for number, kind in enumerate(configs.KINDS):
        triplets.store(triplets.path_of(tmp_path, kind, 0), np.full((3, 256, 256, 3), 10 * number, np.uint8))
    config = DataConfig(patch=64, triplets=(0.25, 0, 0, 0.25, 0.5))
    source = triplets.Triplets(tmp_path, config, seed=3)
    first = source.batch(5, 8)
    assert [p.shape for p in first] == [(8, 3, 64, 64)] * 3
    assert sorted(first[0][:, 0, 0, 0].tolist()) == [0, 0, 30, 30, 40, 40, 40, 40]
    again = triplets.Triplets(tmp_path, config, seed=3).batch(5, 8)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.fixture
def prior_file(tmp_path):
    torch.manual_seed(1)
    save_file({name: value.half() for name, value in Maxim(1).state_dict().items()}, str(tmp_path / "p.safetensors"))
    return tmp_path / "p.safetensors"


def test_the_command_makes_triplets_and_a_run_trains_on_them_and_goes_on(tmp_path, photos, prior_file, capsys):
    run = tmp_path / "run.toml"
    run.write_text(
        "[model]\nwidth = 16\nencoder = [1, 1]\nmiddle = 1\ndecoder = [1, 1]\nrouters = 1\nshared_pointwise = true\n"
        'unshuffle = 2\nprior = "maxim"\n[data]\npatch = 64\ntriplets = [1, 0, 0, 0, 1]\n'
        "[train]\nbatch = 2\nbf16 = false\nthreads = 1\n"
    )
    made, files = tmp_path / "made", ["--config", str(run), "--prior", str(prior_file)]
    kinds = ["--kinds", "soft=1", "real=1", "--measured"]
    assert main(["triplets", *files, "--data", str(photos), "--out", str(made), *kinds]) == 0
    assert "6 made" in capsys.readouterr().out
    arguments = ["train", *files, "--data", str(made), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--steps", "2"]) == 0
    assert main([*arguments, "--steps", "3", "--resume", str(tmp_path / "out" / "last.pt")]) == 0
    assert "reds-frames" in capsys.readouterr().out
    state = checkpoint.load(tmp_path / "out" / "last.pt")
    assert (state["step"], state["patches"]) == (3, 6)
    assert set(state["history"][-1]["psnr"]) == {"reds-frames", "sharp"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kinds", "blurry=3"], "not blurry=3"),
        (["--kinds", "soft"], "not soft"),
        (["--share", "3/2"], "--share must be I/N"),
        (["--kinds", "soft=1", "--data", "nowhere"], "nowhere: holds no sharp*.tar"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path, photos, prior_file, capsys, arguments, message):
    fixed = ["--config", str(configs.named("dhnet-b")), "--prior", str(prior_file), "--out", str(tmp_path / "made")]
    assert main(["triplets", "--data", str(photos), *fixed, *arguments]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_a_folder_without_triplets_is_refused(tmp_path):
    with pytest.raises(configs.UserError, match="holds no triplets"):
        triplets.Triplets(tmp_path, DataConfig(triplets=(1, 1, 1, 1, 1)), 1)


def test_shares_must_be_those_of_all_kinds():
    with pytest.raises(configs.UserError, match="needs the shares of soft, sharp, still, synthetic, real"):
        DataConfig(triplets=(1, 1))
