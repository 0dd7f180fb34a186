"""The seeded world of the drawn street, in metres: the road, what stands and moves along it, the weather over it.

It is no camera and paints no picture: `street.py` sees this world and gives its things their looks and labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Colour = tuple[float, float, float]  # BGR, 0 to 255
Span = tuple[float, float]  # metres, from and to
Corner = tuple[float, float, float]  # metres: right of the road's centre, up, and ahead of the camera
Face = tuple[Corner, ...]
Strip = tuple[float, float, float, float]  # a rectangle of ground: from x to x, from z to z

LOOP, BEHIND = 280.0, 20.0  # metres: the world repeats after LOOP; it is seen up to LOOP - BEHIND ahead
SPEED, LANE_X = 9.0, 1.7  # the drive: metres per second, right of the road's centre

METAL = (105.0, 105.0, 100.0)
WALLS = ((70, 84, 150), (120, 165, 195), (170, 195, 210), (140, 140, 145), (88, 108, 138), (175, 165, 150))
PAINTS = ((40, 40, 190), (150, 70, 30), (45, 45, 48), (225, 225, 225), (165, 165, 160), (50, 170, 215))
CLOTHES = ((50, 40, 40), (40, 50, 170), (150, 60, 40), (60, 160, 200), (200, 200, 200), (150, 60, 140))
LEAVES = ((40, 95, 70), (45, 120, 95), (35, 85, 55), (50, 125, 125))


@dataclass(frozen=True)
class Thing:
    """One thing of the world: x metres right of the road's centre, z metres along the loop (its middle, at time 0)."""

    kind: str
    x: float
    z: float
    width: float
    height: float
    length: float
    colour: Colour
    speed: float = 0.0  # metres per second, positive in the camera's direction
    chance: float = 0.0  # 0 to 1: what else sets it apart from its like (a roof, a sign's shape, a step's phase)

    def panes(self, z: float) -> list[Face]:
        """A house's windows in rows on its street front; those of the lowest row reach down, as doors and shops do."""
        columns, left = round(self.length / 2.7), z - self.length / 2
        pitch, panes = self.length / columns, list[Face]()
        for a in (left + pitch * (k + 0.25) for k in range(columns) if left + pitch * (k + 0.25) > 4.0):
            b = a + pitch * 0.5
            for row in range(int(self.height / 3.1)):
                low, high = 3.1 * row + (1.0 if row else 0.3), 3.1 * row + 2.5
                panes.append(((self.x, low, a), (self.x, low, b), (self.x, high, b), (self.x, high, a)))
        return panes

    def roof(self, near: float, far: float) -> tuple[Face, Face]:
        """The near gable and the street's slope of a house's roof, whose ridge runs along the street."""
        outward, low, top = math.copysign(1.0, self.x), self.height, self.height + 2.8
        eaves, ridge, back = self.x - outward * 0.3, self.x + outward * self.width / 2, self.x + outward * self.width
        gable = ((min(self.x, back), low, near), (max(self.x, back), low, near), (ridge, top, near))
        return gable, ((eaves, low, near), (eaves, low, far), (ridge, top, far), (ridge, top, near))

    def crown(self, blobs: int, sun: int) -> Iterator[tuple[float, float, float, float]]:
        """A tree's leaves as discs: how far up the crown (0 to 1), x, y, radius; from the shaded to the sunlit ones."""
        for k in range(blobs):
            up, turn = k / (blobs - 1), 2.4 * k + 6.0 * self.chance
            x = self.x + self.width * (0.48 * math.sin(turn) + 0.12 * up * sun)
            yield up, x, self.height + self.width * (1.1 * up - 0.65), self.width * (0.56 - 0.2 * up)

    def limbs(self, z: float, time_s: float) -> list[tuple[Face, Face]]:
        """(leg, arm) of either side of a person; a step, or a turn of the pedals, takes a second."""
        cycling, hip, shoulder = self.kind == "cyclist", 0.52 * self.height, 0.8 * self.height
        swing, limbs = math.sin(math.tau * (time_s + self.chance)), list[tuple[Face, Face]]()
        for way in (-1, 1):
            x, arm, stride = self.x + 0.1 * way, self.x + 0.25 * way, 0.13 * way * swing
            lift, foot = (0.32 + stride, x) if cycling else (max(0.0, 0.3 * stride), x + stride)
            hand = (self.x + 0.26 * way + stride / 2, 0.48 * self.height, z)
            leg = ((foot - 0.07, lift, z), (foot + 0.08, lift, z), (x + 0.08, hip, z), (x - 0.08, hip, z))
            limbs.append((leg, ((arm, shoulder, z), (arm - 0.09 * way, shoulder, z), hand)))
        return limbs

    def wheel(self, aside: float, z: float, radius: float) -> list[Corner]:
        """The rim of a wheel that rolls along the road, `aside` of the middle."""
        turns = [math.tau * k / 12 for k in range(12)]
        return [(self.x + aside, radius - radius * math.cos(turn), z + radius * math.sin(turn)) for turn in turns]


@dataclass(frozen=True)
class World:
    """What one seed stands for: a street, its weather, and the things along it."""

    things: tuple[Thing, ...]
    start: float  # metres along the loop where the drive begins
    half_road: float
    bend: float
    zenith: Colour
    haze: Colour
    asphalt: Colour
    paving: Colour
    gains: Colour  # exposure and white balance
    sun: int  # -1: it stands left of the street, 1: right
    shadow: tuple[float, float]  # metres for each metre of height, and the light that is left in it

    def driven(self, time_s: float) -> float:
        """Metres along the loop."""
        return self.start + SPEED * time_s

    def bend_at(self, time_s: float) -> float:
        """Of the road ahead: metres to the right for each square metre of the way there."""
        return self.bend * (0.4 + math.sin(math.tau * 2.0 * self.driven(time_s) / LOOP))

    def placed(self, time_s: float) -> list[tuple[float, Thing]]:
        """(metres ahead, thing) of all things that aren't left behind, the farthest first."""
        driven = self.driven(time_s)
        placed = [((it.z + it.speed * time_s - driven + BEHIND) % LOOP - BEHIND, it) for it in self.things]
        placed = [(z, it) for z, it in placed if z + it.length / 2 > 1.4]
        # Of two things abreast, the one nearer to the drive hides the other, whichever's end is farther ahead.
        placed.sort(key=lambda pair: -pair[0] - pair[1].length / 2 - 2.0 * abs(pair[1].x - LANE_X))
        return placed

    def dashes(self, time_s: float) -> list[Strip]:
        """The middle line of the next 48 metres."""
        return [(-0.08, 0.08, z, z + 3.0) for z in (-self.driven(time_s) % 8.0 + 8.0 * k for k in range(-1, 6))]

    def zebra(self, time_s: float) -> list[Strip]:
        """The bars of the next crossing."""
        start, half = (40.0 - self.driven(time_s)) % 70.0 - 2.0, self.half_road
        left = [-half + 0.3 + k for k in range(int(2.0 * half - 0.3))]
        return [(x, x + 0.5, start, start + 3.0) for x in left]

    def shadow_of(self, it: Thing, near: float, far: float) -> Face:
        """What a thing between `near` and `far` ahead shades of the ground; nothing, if that is a house's own yard."""
        tip, is_house = -self.sun * it.height * self.shadow[0], it.kind == "building"
        if is_house and it.x * tip > 0:
            return ()
        skew, foot = 0.25 * abs(tip), 0.0 if is_house else math.copysign(it.width / 2, tip)
        a, b = it.x - foot, it.x + foot + tip
        return (a, 0.0, near), (a, 0.0, far), (b, 0.0, far + skew), (b, 0.0, near + skew)


def shade(colour: Colour, light: float) -> Colour:
    return colour[0] * light, colour[1] * light, colour[2] * light


def mix(one: Colour, other: Colour, part: float) -> Colour:
    keep = 1.0 - part
    return one[0] * keep + other[0] * part, one[1] * keep + other[1] * part, one[2] * keep + other[2] * part


def _row(
    rng: Generator, kind: str, x: Span, gap: float, size: Corner, colours: Sequence[Colour], speed: float = 0.0
) -> list[Thing]:
    """Things of one kind, about `gap` metres apart along the whole loop; `size` is width, height, length in metres."""
    count = round(LOOP / gap)
    places = (np.arange(count) + rng.uniform(0.0, 0.55, count)) * (LOOP / count)
    things = []
    for z, (a, b, c, d) in zip(places.tolist(), rng.random((count, 4)).tolist(), strict=True):
        colour = shade(colours[int(a * len(colours))], 0.8 + 0.35 * b)
        place = x[0] + (x[1] - x[0]) * c
        things.append(Thing(kind, place, z, size[0], size[1] * (0.88 + 0.24 * b), size[2], colour, speed, d))
    return things


def _houses(rng: Generator, x: float) -> list[Thing]:
    lengths = rng.uniform(8.0, 17.0, 23)
    lengths *= LOOP / lengths.sum()
    storeys, looks = rng.integers(2, rng.integers(4, 7), 23), rng.random((23, 3))
    rows = zip(np.cumsum(lengths) - lengths / 2, lengths, storeys, looks, strict=True)
    return [
        Thing("building", x, z, 11.0, 3.1 * n + 0.6, m, shade(WALLS[int(a * len(WALLS))], 0.75 + 0.35 * b), 0.0, c)
        for z, m, n, (a, b, c) in rows
        if c < 0.88  # a gap lets the sky be seen between two houses
    ]


def _side(rng: Generator, side: int, kerb: float, wall: float) -> list[Thing]:
    """What stands and walks between the road and the house fronts of one side, those included."""

    def at(metres: float) -> Span:
        return side * (kerb + metres), side * (kerb + metres)

    crown, walk = min(wall - kerb - 1.0, 2.3), (side * (kerb + 1.4), side * (wall - 0.4))
    things = _houses(rng, side * wall)
    things += _row(rng, "tree", at(1.0), rng.uniform(10.0, 24.0), (crown, 6.0, 0.3), LEAVES)
    things += _row(rng, "lamp", at(0.4), 27.0, (0.16, 6.0, 0.2), (METAL,))
    things += _row(rng, "sign", at(0.5), 18.0, (0.85, 2.9, 0.1), (METAL,))
    for speed in (1.3, -1.1):
        things += _row(rng, "pedestrian", walk, rng.uniform(15.0, 45.0), (0.5, 1.7, 0.3), CLOTHES, speed)
    if kerb > 5.0:  # room to park
        things += _row(rng, "car", at(-1.1), rng.uniform(8.0, 14.0), (1.8, 1.55, 4.1), PAINTS)
    return things


@lru_cache(maxsize=64)
def world_of(seed: int) -> World:
    rng = np.random.default_rng(seed)
    kerb = 3.7 + 1.9 * int(rng.random() < 0.45)
    wall = kerb + rng.uniform(2.8, 4.2)
    things = _side(rng, -1, kerb, wall) + _side(rng, 1, kerb, wall)
    things += _row(rng, "car", (-1.8, -1.8), rng.uniform(28.0, 75.0), (1.8, 1.55, 4.3), PAINTS, -rng.uniform(6.0, 10.0))
    start, ahead = rng.uniform(0.0, LOOP), rng.uniform(12.0, 45.0)
    things.append(Thing("car", 1.8, start + ahead, 1.8, 1.5, 4.4, PAINTS[int(rng.integers(6))], SPEED))
    for x, speed in ((3.1, 4.5), (-3.1, -4.5)):
        things += _row(rng, "cyclist", (x, x), 50.0, (0.5, 1.75, 1.7), CLOTHES, speed)
    sunny, late, warm = rng.random() < 0.55, rng.random() ** 2, rng.uniform(-0.08, 0.08)
    exposure = rng.uniform(0.85, 1.12) * (1.0 - 0.4 * late)
    return World(
        things=tuple(things),
        start=start,
        half_road=kerb,
        bend=rng.uniform(-0.0018, 0.0018),
        zenith=mix((215, 160, 100) if sunny else (190, 182, 172), (130, 95, 85), 0.6 * late),
        haze=mix((222, 214, 202) if sunny else (205, 205, 200), (150, 185, 225), 0.8 * late),
        asphalt=shade((92, 90, 88), rng.uniform(0.75, 1.25)),
        paving=shade(mix((158, 160, 164), (135, 150, 172), rng.random()), rng.uniform(0.85, 1.1)),
        gains=(exposure * (1.0 - warm), exposure, exposure * (1.0 + warm)),
        sun=1 if rng.random() < 0.5 else -1,
        shadow=(rng.uniform(0.3, 0.8), 0.55) if sunny else (0.06, 0.7),
    )


@lru_cache(maxsize=4)
def grain() -> NDArray[np.float32]:
    """(256, 256) around 1: asphalt, 16 pixels to the metre."""
    rng = np.random.default_rng(0)
    fine, coarse = rng.normal(0.0, 0.05, (256, 256)), rng.normal(0.0, 0.04, (16, 16))
    return (1.0 + fine + cv2.resize(coarse, (256, 256), interpolation=cv2.INTER_CUBIC)).astype(np.float32)


@lru_cache(maxsize=32)
def sky(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, 3): a gradient from the zenith down to the haze, with soft clouds; drawn small, then enlarged."""
    world, rng = world_of(seed), np.random.default_rng((seed, 1))
    octaves = [cv2.resize(rng.random((12 * k, 5 * k)) / k, (80, 96), interpolation=cv2.INTER_CUBIC) for k in (1, 2, 4)]
    down, haze = np.linspace(0.0, 1.0, 96)[:, None, None], np.array(world.haze)
    cloud = np.clip(np.sum(octaves, axis=0) * 1.5 - 1.4, 0.0, 0.8)[..., None] * (1.0 - down)
    clear = haze + (np.array(world.zenith) - haze) * np.maximum(1.0 - 2.0 * down, 0.0)
    small = clear + (haze * 1.15 - clear) * cloud
    picture = np.asarray(cv2.resize(small.clip(0, 255).astype(np.float32), (width, height)).astype(np.uint8), np.uint8)
    picture.flags.writeable = False
    return picture
