"""datasets/street_world.py: the world behind the drawn street, in metres."""

import numpy as np
import pytest

from fcn_edge.datasets.street_world import BEHIND, LOOP, SPEED, Thing, grain, mix, shade, sky, world_of

SEEDS = (0, 1, 2, 100_000, 300_000)


def test_a_world_is_its_seed() -> None:
    first = world_of(7)
    world_of.cache_clear()
    assert world_of(7) == first
    assert world_of(8) != first


@pytest.mark.parametrize("seed", SEEDS)
def test_every_world_has_things_of_every_kind(seed: int) -> None:
    kinds = {thing.kind for thing in world_of(seed).things}
    assert kinds == {"building", "tree", "lamp", "sign", "pedestrian", "car", "cyclist"}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("time_s", [0.0, 3.3, 1000.0])
def test_things_in_sight_are_ahead_and_within_the_loop(seed: int, time_s: float) -> None:
    placed = world_of(seed).placed(time_s)
    assert placed
    for z, thing in placed:
        assert -BEHIND <= z < LOOP - BEHIND
        assert z + thing.length / 2 > 1.4


@pytest.mark.parametrize("seed", SEEDS)
def test_of_two_things_in_a_line_the_farther_is_drawn_first(seed: int) -> None:
    rows: dict[float, list[float]] = {}
    for z, thing in world_of(seed).placed(2.0):
        rows.setdefault(thing.x, []).append(z + thing.length / 2)
    assert any(len(row) > 3 for row in rows.values())
    for row in rows.values():
        assert row == sorted(row, reverse=True)


def test_what_stands_comes_nearer_at_the_speed_of_the_drive() -> None:
    world = world_of(3)
    before = {id(thing): z for z, thing in world.placed(1.0) if thing.kind == "lamp"}
    after = {id(thing): z for z, thing in world.placed(1.5) if thing.kind == "lamp"}
    both = [key for key in before if key in after and before[key] > SPEED]
    assert both
    for key in both:
        assert before[key] - after[key] == pytest.approx(0.5 * SPEED)


def test_the_car_ahead_keeps_its_distance() -> None:
    world = world_of(3)
    ahead = [thing for thing in world.things if thing.kind == "car" and thing.speed == SPEED]
    assert len(ahead) == 1
    distances = [next(z for z, thing in world.placed(time_s) if thing is ahead[0]) for time_s in (0.0, 5.0, 60.0)]
    assert distances == pytest.approx([distances[0]] * 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_crossings_stay_on_the_road(seed: int) -> None:
    world = world_of(seed)
    bars = world.zebra(1.0)
    assert len(bars) > 4
    for left, right, near, far in bars:
        assert -world.half_road <= left < right <= world.half_road + 0.3
        assert near < far


def test_the_middle_line_comes_nearer_and_repeats_every_eight_metres() -> None:
    world = world_of(0)
    now, a_metre_later, a_dash_later = (world.dashes(time_s) for time_s in (0.0, 1.0 / SPEED, 8.0 / SPEED))
    assert np.array(a_dash_later) == pytest.approx(np.array(now))
    moved = (now[0][2] - a_metre_later[0][2]) % 8.0
    assert moved == pytest.approx(1.0)


def test_a_house_casts_no_shadow_on_its_own_yard() -> None:
    world = world_of(0)
    house = Thing("building", -8.0 * world.sun, 20.0, 11.0, 6.0, 10.0, (0.0, 0.0, 0.0))
    assert world.shadow_of(house, 15.0, 25.0) == ()
    across = Thing("building", 8.0 * world.sun, 20.0, 11.0, 6.0, 10.0, (0.0, 0.0, 0.0))
    assert len(world.shadow_of(across, 15.0, 25.0)) == 4


def test_the_rim_of_a_wheel_is_round_and_stands_on_the_ground() -> None:
    rim = np.array(Thing("car", 1.0, 0.0, 1.8, 1.5, 4.0, (0.0, 0.0, 0.0)).wheel(0.5, 10.0, 0.3))
    assert rim[:, 0] == pytest.approx(1.5)
    assert np.hypot(rim[:, 1] - 0.3, rim[:, 2] - 10.0) == pytest.approx(0.3)
    assert rim[:, 1].min() == pytest.approx(0.0)


def test_colours_are_shaded_and_mixed_by_channel() -> None:
    assert shade((10.0, 20.0, 30.0), 0.5) == (5.0, 10.0, 15.0)
    assert mix((0.0, 10.0, 20.0), (100.0, 110.0, 120.0), 0.25) == (25.0, 35.0, 45.0)


def test_the_sky_is_a_picture_that_nobody_may_draw_on() -> None:
    picture = sky(1, 30, 40)
    assert picture.shape == (30, 40, 3) and picture.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        picture[0, 0] = 0


def test_grain_neither_lightens_nor_darkens_the_ground() -> None:
    assert grain().shape == (256, 256)
    assert grain().mean() == pytest.approx(1.0, abs=0.02)
    assert grain().min() > 0.5
