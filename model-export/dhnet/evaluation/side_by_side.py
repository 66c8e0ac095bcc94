"""Draws pictures for documents: blurred, restored and sharp side by side."""

from pathlib import Path

import numpy as np
from PIL import Image

from ..data.pictures import read
from ..errors import UserError
from . import runtime

GAP = 8  # white pixels between pictures

Box = tuple[int, int, int, int]  # left, top, width, height in pixels


def cut(picture: np.ndarray, box: Box) -> np.ndarray:
    """Returns the part of a picture [H, W, 3] inside a box."""
    left, top, width, height = box
    return picture[top : top + height, left : left + width]


def side_by_side(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Returns rows of equally large pictures as one picture with white gaps."""
    height, width = rows[0][0].shape[:2]
    tall, wide = np.full((height, GAP, 3), 255, np.uint8), (width + GAP) * len(rows[0]) - GAP
    lines = [np.concatenate([x for p in row for x in (tall, p)][1:], 1) for row in rows]
    return np.concatenate([x for line in lines for x in (np.full((GAP, wide, 3), 255, np.uint8), line)][1:])


def strip(model: runtime.Model, blur: Path, sharp: Path, out: Path, crop: Box | None) -> None:
    """Writes blurred, restored and sharp side by side to `out`. The whole picture is restored before it is cut.

    UserError where the pictures differ in size or do not hold the crop.
    """
    picture, twin = read(blur), read(sharp)
    box = crop or (0, 0, picture.shape[1], picture.shape[0])
    if picture.shape != twin.shape or cut(picture, box).shape[:2] != (box[3], box[2]):
        raise UserError(f"strip: {blur} and {sharp} must be of one size and hold the crop")
    cuts = [cut(x, box) for x in (picture, model.restore(picture), twin)]
    Image.fromarray(side_by_side([cuts])).save(out, quality=90)
