"""Measures whether restoration makes writing readable or makes letters up: rendered letters, blurred by a known motion.

Every letter stands in a cell of its own, so that no layout has to be recognised: a cell is read as the letter whose
sharp drawing correlates best with it. There is one typeface, straight motion, and dark ink on light paper; a person, or
a text recogniser that knows words, reads more. `spoilt` counts letters that the output turns into other letters, and
`stain` measures marks that the output leaves where the blurred input shows bare paper.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation

from . import runtime
from .evaluate import psnr
from .known_blurs import blurred, kernel

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ23456789abdefghnrty"
HEIGHTS = (12, 18, 27)  # of the type, pixels
LENGTHS = (0, 5, 9, 13)  # of the motion, pixels; 0: the page as it is
ROWS, COLUMNS = 6, 14
PAPER, INK = 235, 30  # levels of 255
MARGIN = 24  # bare pixels around the letters


def page(height: int) -> tuple[np.ndarray, list[str], list[tuple[slice, slice]]]:
    """Returns a page of random letters, uint8 [H, W, 3], the letters, and the cell of each letter."""
    rng, side = np.random.default_rng(height), round(height * 1.5)
    letters = [LETTERS[i] for i in rng.integers(len(LETTERS), size=ROWS * COLUMNS)]
    image = Image.new("L", (COLUMNS * side + 2 * MARGIN, ROWS * side + 2 * MARGIN), PAPER)
    draw, font, cells = ImageDraw.Draw(image), ImageFont.load_default(height), []
    for i, letter in enumerate(letters):
        top, left = MARGIN + i // COLUMNS * side, MARGIN + i % COLUMNS * side
        draw.text((left + side / 2, top + side / 2), letter, INK, font, anchor="mm")
        cells.append((slice(top, top + side), slice(left, left + side)))
    return np.repeat(np.asarray(image)[:, :, None], 3, 2), letters, cells


def unit(cell: np.ndarray) -> np.ndarray:
    """Returns a cell as a vector of mean 0 and length 1; a bare cell gives zeros."""
    vector = cell.astype(np.float64).ravel() - cell.mean()
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def alphabet(height: int) -> np.ndarray:
    """Returns the unit vectors of all letters drawn sharp, [letters, side²]."""
    side, font = round(height * 1.5), ImageFont.load_default(height)
    drawn = []
    for letter in LETTERS:
        image = Image.new("L", (side, side), PAPER)
        ImageDraw.Draw(image).text((side / 2, side / 2), letter, INK, font, anchor="mm")
        drawn.append(unit(np.asarray(image)))
    return np.stack(drawn)


def read_cells(picture: np.ndarray, cells: list[tuple[slice, slice]], known: np.ndarray) -> list[str]:
    """Returns the letter that every cell is read as."""
    return [LETTERS[int((known @ unit(picture[cell].mean(2))).argmax())] for cell in cells]


def stain(given: np.ndarray, restored: np.ndarray) -> float:
    """Returns the largest deviation from the paper, in levels of 255, at least 4 pixels away from all ink of the
    input.
    """
    marked = np.abs(given.astype(int) - PAPER).max(2) > 1
    bare = ~binary_dilation(marked, iterations=4)
    return float(np.abs(restored.astype(int) - PAPER).max(2)[bare].max(initial=0))


def measure(model: runtime.Model) -> list[dict]:
    """Returns one row per height of type and length of motion; `readable` and `spoilt` are shares of the letters."""
    rows = []
    for height in HEIGHTS:
        sharp, letters, cells = page(height)
        known = alphabet(height)
        for length in LENGTHS:
            given = blurred(sharp, kernel("motion", length)) if length else sharp
            restored = model.restore(given)
            before, after = (read_cells(p, cells, known) for p in (given, restored))
            right = [a == letter for a, letter in zip(before, letters, strict=True)]
            kept = [a == letter for a, letter in zip(after, letters, strict=True)]
            lost = sum(a and not b for a, b in zip(right, kept, strict=True))
            rows.append(
                {
                    "height": height,
                    "length": length,
                    "input": {"psnr": psnr(given, sharp), "readable": round(sum(right) / len(letters), 4)},
                    "output": {"psnr": psnr(restored, sharp), "readable": round(sum(kept) / len(letters), 4)},
                    "spoilt": round(lost / len(letters), 4),
                    "stain": stain(given, restored),
                }
            )
    return rows
