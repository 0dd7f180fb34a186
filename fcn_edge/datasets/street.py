"""The drawn street as a camera sees it: projection, the looks of things, ground, sensor, and the exact label mask.

It is no simulator and no yardstick for accuracy on real pictures; it lets the demo train and run without a download.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fcn_edge.datasets.street_world import LANE_X, Colour, Corner, Span, Thing, World, grain, mix, shade, sky, world_of
from fcn_edge.labels import VOID

Image = NDArray[np.uint8]
CLASSES: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("sky", (128, 128, 128)), ("building", (128, 0, 0)), ("pole", (192, 192, 128)), ("road", (128, 64, 128)),
    ("lane", (128, 0, 192)), ("pavement", (60, 40, 222)), ("tree", (128, 128, 0)), ("sign", (192, 128, 128)),
    ("car", (64, 0, 128)), ("pedestrian", (64, 64, 0)), ("cyclist", (0, 128, 192)),
)  # fmt: skip
SKY, BUILDING, POLE, ROAD, LANE, PAVEMENT, TREE, SIGN, CAR, PEDESTRIAN, CYCLIST = range(len(CLASSES))

NEAR, EYE_X, EYE_Y = 1.0, LANE_X, 1.5  # metres: where sight begins; right of the road's centre, above the ground
CLEAR = 150.0  # metres of air that leave 37 % of a colour
# The ground falls away by DROP * z * z, as if the street ran over a hilltop: what enters the world at its far end is
# still below the crest, so nothing ever pops into view.
DROP = 5e-4
CREST = math.sqrt(EYE_Y / DROP)  # metres to where the ground goes out of sight,
CREST_SLOPE = 2.0 * EYE_Y / CREST  # and how far below the horizon: rows for each pixel of focal length
WHITE, BLACK, RED, BLUE = (235.0, 235.0, 235.0), (24.0, 24.0, 24.0), (40.0, 30.0, 200.0), (180.0, 90.0, 20.0)


@dataclass(frozen=True)
class Shot:
    """One picture and its mask in the making, and the camera behind them, in 16ths of a pixel."""

    picture: Image
    mask: Image
    world: World
    time_s: float
    focal: float
    centre: float
    horizon: float
    bend: float

    def pixels(self, corners: Sequence[Corner]) -> list[tuple[int, int]]:
        """(column, row) of points x metres right of the road's centre, y up, z ahead of the camera."""
        focal, centre, horizon, bend = self.focal, self.centre, self.horizon, self.bend
        return [
            (int(centre + focal * ((x - EYE_X) / z + bend * z)), int(horizon + focal * ((EYE_Y - y) / z + DROP * z)))
            for x, y, z in corners
        ]

    def sees(self, it: Thing, z: float) -> bool:
        """Whether any of it may stand in the picture, and above the crest."""
        far, roof = z + it.length / 2, 3.0 if it.kind == "building" else 0.5
        reach = (1.2 * it.width if it.kind == "tree" else 1.6) / max(z, NEAR)
        sunk = z > CREST and (EYE_Y - it.height - roof) / far + DROP * far > CREST_SLOPE
        return not sunk and (abs((it.x - EYE_X) / far + self.bend * far) - reach) * self.focal < self.centre

    def hazy(self, colour: Colour, z: float) -> Colour:
        return mix(self.world.haze, colour, math.exp(-z / CLEAR))

    def fill(self, label: int, colour: Colour, *faces: Sequence[Corner], z: float = NEAR) -> None:
        """Faces that don't overlap, each of corners (x, y, z): smooth edges in the picture, hard ones in the mask."""
        outlines = [np.array(self.pixels(face), np.int32) for face in faces]
        cv2.fillPoly(self.picture, outlines, self.hazy(colour, z), cv2.LINE_AA, 4)
        cv2.fillPoly(self.mask, outlines, label, cv2.LINE_8, 4)

    def bar(self, label: int, colour: Colour, z: float, x: Span, y: Span) -> None:
        """An upright rectangle square to the road."""
        low, high = self.pixels(((x[0], y[0], z), (x[1], y[1], z)))
        cv2.rectangle(self.picture, low, high, self.hazy(colour, z), -1, cv2.LINE_AA, 4)
        cv2.rectangle(self.mask, low, high, label, -1, cv2.LINE_8, 4)

    def disc(self, label: int, colour: Colour, z: float, x: float, y: float, radius: float) -> None:
        centre, size = self.pixels(((x, y, z),))[0], max(8, round(radius * self.focal / z))
        cv2.circle(self.picture, centre, size, self.hazy(colour, z), -1, cv2.LINE_AA, 4)
        cv2.circle(self.mask, centre, size, label, -1, cv2.LINE_8, 4)

    def block(self, label: int, colour: Colour, x: Span, y: Span, z: Span, taper: float = 0.0) -> None:
        """The faces that the camera sees of an upright block whose top is `taper` metres smaller on either side."""
        (x0, x1), (y0, y1), (z0, z1), t, rake = x, y, z, taper, 2.5 * taper
        a, b, c, d = (x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)
        e, f, g, h = (x0 + t, y1, z0 + rake), (x1 - t, y1, z0 + rake), (x1 - t, y1, z1 - rake), (x0 + t, y1, z1 - rake)
        if x0 - EYE_X > self.bend * z0 * z1:
            self.fill(label, shade(colour, 0.85 - 0.15 * self.world.sun), (a, d, h, e), z=z0)
        if x1 - EYE_X < self.bend * z0 * z1:
            self.fill(label, shade(colour, 0.85 + 0.15 * self.world.sun), (b, c, g, f), z=z0)
        if EYE_Y - y1 > DROP * z0 * z1:
            self.fill(label, shade(colour, 1.15), (e, f, g, h), z=z0)
        self.fill(label, shade(colour, 0.9), (a, b, f, e), z=z0)


def _draw_building(shot: Shot, it: Thing, z: float) -> None:
    near, far, back = max(z - it.length / 2, NEAR), z + it.length / 2, it.x + math.copysign(it.width, it.x)
    shot.block(BUILDING, it.colour, (min(it.x, back), max(it.x, back)), (0.0, it.height), (near, far))
    if it.chance > 0.45:
        gable, slope = it.roof(near, far)
        shot.fill(BUILDING, shade(it.colour, 0.85), gable, z=near)
        shot.fill(BUILDING, (62.0, 66.0, 110.0) if it.chance > 0.65 else (88.0, 80.0, 76.0), slope, z=near)
    if near < 45.0:
        glass = mix((70.0, 58.0, 50.0), shot.world.zenith, 0.5 * it.chance)
        shot.fill(BUILDING, glass, *it.panes(z), z=max(z, NEAR))


def _draw_tree(shot: Shot, it: Thing, z: float) -> None:
    shot.bar(TREE, (45, 58, 72), z, (it.x - 0.14, it.x + 0.14), (0.0, it.height))
    for up, x, y, radius in it.crown(7 if z < CREST else 3, shot.world.sun):
        shot.disc(TREE, shade(it.colour, 0.7 + 0.5 * up), z, x, y, radius)


def _draw_lamp(shot: Shot, it: Thing, z: float) -> None:
    arm, half = it.x - math.copysign(1.5, it.x), it.width / 2
    shot.bar(POLE, it.colour, z, (it.x - half, it.x + half), (0.0, it.height))
    shot.bar(POLE, it.colour, z, (min(arm, it.x), max(arm, it.x)), (it.height - 0.1, it.height))
    shot.bar(POLE, shade(it.colour, 1.4), z, (arm - 0.35, arm + 0.35), (it.height - 0.2, it.height))


def _draw_sign(shot: Shot, it: Thing, z: float) -> None:
    """A sign on its post: forbidding, warning or telling."""
    x, y, r = it.x, it.height - 0.4, it.width / 2
    shot.bar(POLE, it.colour, z, (x - 0.05, x + 0.05), (0.0, y))
    for size, colour in ((1.0, RED), (0.62, WHITE)):
        s = r * size
        if it.chance < 0.4:
            shot.disc(SIGN, colour, z, x, y, s)
        elif it.chance < 0.7:
            low = y - 0.7 * s
            shot.fill(SIGN, colour, ((x - 1.1 * s, low, z), (x + 1.1 * s, low, z), (x, y + 1.2 * s, z)), z=z)
        else:
            shot.bar(SIGN, WHITE if size < 1.0 else BLUE, z, (x - s, x + s), (y - s * size, y + s * size))


def _draw_car(shot: Shot, it: Thing, z: float) -> None:
    near, far, coming = z - it.length / 2, z + it.length / 2, it.speed < 0.0
    x0, x1, top, front = it.x - it.width / 2, it.x + it.width / 2, it.height, max(near, NEAR)
    shot.block(CAR, BLACK, (x0 + 0.05, x1 - 0.05), (0.18, 0.4), (front, far))
    for x in (x0 + 0.08, x1 - 0.3):
        shot.bar(CAR, BLACK, front, (x, x + 0.22), (0.0, 0.4))
    shot.block(CAR, it.colour, (x0, x1), (0.32, 0.92), (front, far))
    for wheel_z in (m for m in (far - 0.85, near + 0.85) if 2.0 * NEAR < m < 30.0):
        for radius, colour in ((0.33, BLACK), (0.18, (105, 105, 100))):
            shot.fill(CAR, colour, it.wheel(it.width * (-0.5 if it.x > EYE_X else 0.5), wheel_z, radius), z=wheel_z)
    back = max(near + (0.9 if coming else 0.2), NEAR)  # behind one's bonnet, or above the other's boot
    if back < far - 1.9:
        shot.block(CAR, (66, 56, 48), (x0 + 0.06, x1 - 0.06), (0.92, top), (back, far - 0.9), 0.2)
        shot.block(CAR, it.colour, (x0 + 0.24, x1 - 0.24), (top - 0.07, top + 0.02), (back + 0.5, far - 1.4))
    for x in (x0 + 0.06, x1 - 0.42):
        shot.bar(CAR, (215, 235, 240) if coming else (30, 25, 190), front, (x, x + 0.36), (0.64, 0.8))
    shot.bar(CAR, WHITE, front, (it.x - 0.26, it.x + 0.26), (0.44, 0.56))


def _draw_person(shot: Shot, it: Thing, z: float) -> None:
    """A pedestrian, or a cyclist on the wheels."""
    cycling, tall, skin = it.kind == "cyclist", it.height, mix((150, 175, 215), (60, 80, 115), it.chance)
    label, legs = CYCLIST if cycling else PEDESTRIAN, (70.0, 60.0, 50.0) if it.chance < 0.6 else (110.0, 90.0, 70.0)
    for wheel_z in (m for m in (z + 0.55, z - 0.5) if cycling and m > NEAR):
        shot.fill(label, BLACK, it.wheel(0.0, wheel_z, 0.34), z=wheel_z)
        shot.bar(label, BLACK, wheel_z, (it.x - 0.03, it.x + 0.03), (0.0, 0.75))
    for leg, arm in it.limbs(z, shot.time_s):
        shot.fill(label, legs, leg, z=z)
        if z < 30.0:
            shot.fill(label, shade(it.colour, 0.8), arm, z=z)
    if cycling:
        shot.bar(label, BLACK, z, (it.x - 0.28, it.x + 0.28), (0.92, 0.97))
    shot.bar(label, it.colour, z, (it.x - 0.21, it.x + 0.21), (0.47 * tall, 0.84 * tall))
    shot.disc(label, skin, z, it.x, 0.92 * tall, 0.13)
    if z < 30.0:
        shot.disc(label, RED if cycling else BLACK, z, it.x, 0.955 * tall, 0.105)


DRAW: dict[str, Callable[[Shot, Thing, float], None]] = {
    "building": _draw_building, "tree": _draw_tree, "lamp": _draw_lamp, "sign": _draw_sign,
    "car": _draw_car, "pedestrian": _draw_person, "cyclist": _draw_person,
}  # fmt: skip


def _draw_ground(shot: Shot) -> None:
    world, paving, kerb = shot.world, shot.world.paving, shot.world.half_road
    ways = [NEAR * (CREST / NEAR) ** (k / 12) for k in range(13)]  # with these, long strips follow the bend
    for label, colour, left, right in (
        (PAVEMENT, paving, -90.0, 90.0), (PAVEMENT, shade(paving, 1.2), -kerb - 0.25, kerb + 0.25),
        (ROAD, world.asphalt, -kerb, kerb), (LANE, WHITE, -3.5, -3.38), (LANE, WHITE, 3.4, 3.52),
    ):  # fmt: skip
        shot.fill(label, colour, [(left, 0.0, z) for z in ways] + [(right, 0.0, z) for z in reversed(ways)])
    for strips in world.dashes(shot.time_s), world.zebra(shot.time_s):
        seen = [(a, b, max(c, NEAR), d) for a, b, c, d in strips if d > NEAR and c < CREST]
        shot.fill(LANE, WHITE, *(((a, 0.0, c), (a, 0.0, d), (b, 0.0, d), (b, 0.0, c)) for a, b, c, d in seen))


def _cast_shadows(shot: Shot, placed: list[tuple[float, Thing]]) -> Image:
    """(H, W): 255 in the sun, less where a thing of the near street stands before it."""
    light, left = np.full(shot.mask.shape, 255, np.uint8), round(255 * shot.world.shadow[1])
    for z, it in placed:
        near, far = max(z - it.length / 2, NEAR), max(z + it.length / 2, NEAR)
        if near <= CREST and (corners := shot.world.shadow_of(it, near, far)):
            cv2.fillConvexPoly(light, np.array(shot.pixels(corners), np.int32), left, cv2.LINE_AA, 4)
    return light


def _light_ground(shot: Shot, placed: list[tuple[float, Thing]]) -> None:
    """Shadows, grain and haze of the ground: light in the picture, in which the mask has no part."""
    (height, width), focal = shot.mask.shape, shot.focal / 16.0
    top = math.ceil(shot.horizon / 16.0 + focal * CREST_SLOPE)
    if top >= height:
        return  # a picture of one or two rows
    slope = (np.arange(top, height) - shot.horizon / 16.0) / focal
    z = ((slope - np.sqrt(np.maximum(slope**2 - CREST_SLOPE**2, 0.0))) / (2.0 * DROP)).astype(np.float32)[:, None]
    across = (np.arange(width, dtype=np.float32) - width / 2) / np.float32(focal) * z - np.float32(shot.bend) * z * z
    along = np.repeat((z + np.float32(shot.world.driven(shot.time_s) % 16.0)) * 16.0, width, axis=1)
    rough = cv2.remap(grain(), across * 16.0, along, cv2.INTER_LINEAR, None, cv2.BORDER_WRAP)
    keep = np.exp(-z / np.float32(CLEAR))
    light = cv2.merge([rough * _cast_shadows(shot, placed)[top:] * (keep / np.float32(255.0))] * 3)
    air = np.broadcast_to((1.0 - keep)[..., None] * np.array(shot.world.haze, np.float32), light.shape)
    cv2.add(cv2.multiply(shot.picture[top:], light, dtype=cv2.CV_8U), air.astype(np.uint8), dst=shot.picture[top:])


@lru_cache(maxsize=4)
def _sensor_noise(height: int, width: int) -> NDArray[np.int16]:
    """Noise larger than a picture, of which each frame takes another part: drawing it anew would cost half a frame."""
    return np.random.default_rng(0).normal(0.0, 3.0, (height + 61, width + 61, 3)).round().astype(np.int16)


def _expose(picture: Image, world: World, rng: Generator) -> Image:
    """What the lens and the sensor make of the light: a slight blur, exposure, white balance, noise."""
    height, width = picture.shape[:2]
    gains = np.array(world.gains) * np.arange(256.0)[:, None]
    soft = cv2.LUT(cv2.GaussianBlur(picture, (3, 3), 0.55), gains.clip(0, 255).astype(np.uint8)[None])
    row, column = rng.integers(0, 61, 2).tolist()
    noise = _sensor_noise(height, width)[row : row + height, column : column + width]
    return np.asarray(cv2.add(soft, noise, dtype=cv2.CV_8U), np.uint8)


def draw_street(seed: int, time_s: float = 0.0, size_hw: tuple[int, int] = (240, 320)) -> tuple[Image, Image]:
    """One frame of the drive through street `seed`, `time_s` seconds after its start; equal arguments give equal bytes.

    Returns the picture, (H, W, 3) BGR uint8, and its mask, (H, W) uint8 of ids in CLASSES, VOID on the own bonnet.
    """
    world, (height, width) = world_of(seed), size_hw
    focal, horizon = 0.75 * min(max(width, height), 2 * height), height * (0.47 + 0.004 * math.sin(5.0 * time_s))
    picture, mask, bend = sky(seed, height, width).copy(), np.full(size_hw, SKY, np.uint8), world.bend_at(time_s)
    shot = Shot(picture, mask, world, time_s, 16.0 * focal, 8.0 * width, 16.0 * horizon, bend)
    placed = world.placed(time_s)
    for beyond in (True, False):
        for z, it in placed:
            if (z > CREST) == beyond and shot.sees(it, z):
                DRAW[it.kind](shot, it, z)
        if beyond:
            _draw_ground(shot)
            _light_ground(shot, placed)
    for part, colour in ((1.0, (46, 42, 40)), (0.8, (70, 64, 60))):  # the bonnet of the camera's own car
        bonnet = (width // 2, round(height * 1.06)), (round(width * 0.62 * part), round(height * 0.13 * part))
        cv2.ellipse(picture, *bonnet, 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(mask, *bonnet, 0, 0, 360, VOID, -1, cv2.LINE_8)
    return _expose(picture, world, np.random.default_rng((seed, round(time_s * 1000) % 2**32))), mask
