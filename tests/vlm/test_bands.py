from __future__ import annotations

import numpy as np
import pytest

from vlm.bands import band_table, plan_renderings
from vlm.errors import RasterError
from vlm.sensors import ALIASES, AUTOMATIC_ORDER, PRESETS, ROLE_WORDS, SENSOR_BY_COUNT, SENSORS, WORDS
from vlm.stretch import as_float, decibels, normalised_difference, percentile_limits, ramp, to_bytes

S2 = SENSORS["sentinel2"].codes
PLAIN = ("gray", "undefined", "undefined", "undefined")


# descriptions, true colour bands, near infrared band, sensor
NAMED = [
    (S2, (4, 3, 2), 8, "sentinel2"),
    (("B02", "B03", "B04", "B08"), (3, 2, 1), 4, "sentinel2"),
    (("B2", "B3", "B4", "B8"), (3, 2, 1), 4, "sentinel2"),
    (("B4, central wavelength 665 nm", "B3, 560 nm", "B2, 490 nm"), (1, 2, 3), None, "sentinel2"),
    (("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7"), (4, 3, 2), 5, "landsat"),
    (("B1", "B2", "B3", "B4", "B5", "B6", "B7"), (4, 3, 2), 5, "landsat"),
    (("LC08 B2", "LC08 B3", "LC08 B4", "LC08 B5", "LC08 B8"), (3, 2, 1), 4, "landsat"),
    (("LT05 B1", "LT05 B2", "LT05 B3", "LT05 B4", "LT05 B5", "LT05 B7"), (3, 2, 1), 4, "landsat_tm"),
    (("blue", "green", "red", "nir"), (3, 2, 1), 4, "named"),
    (("Red", "Green", "Blue", "Near Infrared"), (1, 2, 3), 4, "named"),
    (("R", "G", "B", "N"), (1, 2, 3), 4, "named"),
    (("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"), (6, 3, 2), 8, "named"),
]  # fmt: skip


@pytest.mark.parametrize(("descriptions", "true", "nir", "sensor"), NAMED, ids=[" ".join(row[0])[:30] for row in NAMED])
def test_roles_come_from_the_names_of_the_bands(
    descriptions: tuple[str, ...], true: tuple[int, ...], nir: int | None, sensor: str
) -> None:
    table = band_table(descriptions, ["undefined"] * len(descriptions), "uint16")
    assert not table.assumed
    assert table.sensor == sensor
    assert (table.band("red"), table.band("green"), table.band("blue")) == true
    assert table.band("nir") == nir
    assert plan_renderings(None, table)[0].bands == true


@pytest.mark.parametrize(
    ("count", "dtype", "gsd_m", "sensor", "first"),
    [
        (1, "uint16", None, "gray", (1,)),
        (2, "float32", 10.0, "sentinel1", (1, 2)),
        (3, "uint8", None, "rgb", (1, 2, 3)),
        (4, "uint8", 0.6, "naip", (1, 2, 3)),
        (4, "uint8", 30.0, "unknown", (1, 2, 3)),
        (4, "uint16", 3.0, "planetscope", (3, 2, 1)),
        (5, "uint16", 5.0, "rapideye", (3, 2, 1)),
        (6, "uint16", 30.0, "landsat_tm", (3, 2, 1)),
        (7, "uint16", 30.0, "landsat_sr", (4, 3, 2)),
        (8, "uint16", 3.0, "superdove", (6, 4, 2)),
        (9, "uint16", 3.0, "unknown", (1, 2, 3)),
        (10, "uint16", 10.0, "sentinel2_10", (3, 2, 1)),
        (11, "uint16", 30.0, "landsat", (4, 3, 2)),
        (12, "uint16", 10.0, "sentinel2_l2a", (4, 3, 2)),
        (13, "uint16", 10.0, "sentinel2", (4, 3, 2)),
        (40, "uint16", None, "unknown", (1, 2, 3)),
    ],
)
def test_roles_of_unnamed_bands_come_from_their_number_and_say_so(
    count: int, dtype: str, gsd_m: float | None, sensor: str, first: tuple[int, ...]
) -> None:
    table = band_table([None] * count, ["gray"] + ["undefined"] * (count - 1), dtype, gsd_m)
    rendering = plan_renderings(None, table)[0]
    assert (table.sensor, rendering.bands) == (sensor, first)
    assert table.assumed == ("assumed" in rendering.sentence)
    if sensor == "unknown":
        assert "does not say what they show" in rendering.sentence


@pytest.mark.parametrize(
    ("colours", "bands"),
    [
        (("red", "green", "blue"), (1, 2, 3)),
        (("blue", "green", "red", "alpha"), (3, 2, 1)),
        (("gray", "alpha"), (1,)),
        (("red", "green", "blue", "undefined"), (1, 2, 3)),
    ],
)
def test_roles_come_from_the_colour_interpretation(colours: tuple[str, ...], bands: tuple[int, ...]) -> None:
    table = band_table([None] * len(colours), colours, "uint8", None)
    assert plan_renderings(None, table)[0].bands == bands


def test_a_multispectral_image_is_shown_as_several_pictures_each_with_its_sentence() -> None:
    table = band_table(S2, ["undefined"] * 13, "uint16")
    shown = plan_renderings(None, table, limit=9)
    assert [rendering.name for rendering in shown] == ["true", "false", "ndvi", "ndwi", "swir"]
    assert [rendering.bands for rendering in shown] == [(4, 3, 2), (8, 4, 3), (8, 4), (3, 8), (13, 8, 4)]
    assert shown[1].sentence == "False colour: near infrared, red, green (bands 8, 4, 3); vegetation is red."
    assert len(plan_renderings(None, table, limit=2)) == 2
    assert len(plan_renderings(None, table)) == 3


def test_radar_is_shown_in_decibels_with_the_ratio_as_blue() -> None:
    both = plan_renderings(None, band_table(("VV", "VH"), PLAIN[:2], "float32"))
    assert len(both) == 1
    assert both[0].sentence == (
        "Radar in decibels: VV backscatter, VH backscatter (bands 1, 2) as red and green, their ratio as blue."
    )
    assert plan_renderings("sar", band_table(("HH",), PLAIN[:1], "float32"))[0].bands == (1,)
    single = plan_renderings(None, band_table((None,), PLAIN[:1], "complex64"))[0]
    assert (single.kind, single.decibel) == ("radar", True)


@pytest.mark.parametrize(
    ("spec", "bands"),
    [
        ("4,3,2", [(4, 3, 2)]),
        ("13", [(13,)]),
        ("nir,red,green", [(8, 4, 3)]),
        ("B8A, B4, B3", [(9, 4, 3)]),
        ("NDVI", [(8, 4)]),
        ("true_color+ndwi", [(4, 3, 2), (3, 8)]),
        ("cir", [(8, 4, 3)]),
    ],
)
def test_pictures_are_named(spec: str, bands: list[tuple[int, ...]]) -> None:
    table = band_table(S2, ["undefined"] * 13, "uint16")
    assert [rendering.bands for rendering in plan_renderings(spec, table)] == bands


def test_a_named_sensor_overrules_the_assumed_order() -> None:
    table = band_table([None] * 4, PLAIN, "uint8", 0.6)
    assert plan_renderings("true", table)[0].bands == (1, 2, 3)
    named = plan_renderings("planetscope:true", table)[0]
    assert named.bands == (3, 2, 1)
    assert "assumed" not in named.sentence


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            "9,3,2",
            r"band or rendering '9' does not exist in a.tif, which has 3 bands: 1 \(red\), 2 \(green\), 3 \(blue\)",
        ),
        ("0", "'0' does not exist"),
        ("sunset", "'sunset' does not exist .* or one of true, false, ndvi"),
        ("", "'' does not exist"),
        ("1,,2", "'' does not exist"),
        ("1,2", "names 2 bands: expected 1 or 3"),
        ("ndvi", r"needs the bands near infrared \+ red, and the image has 3 bands"),
        ("swir", r"needs the bands .* or .*"),
        ("naip:true", "has 3 bands and cannot be read as NAIP, which has 4"),
        ("spot:true", "sensor 'spot', asked of a.tif, is unknown: known are sentinel2"),
    ],
)
def test_an_unknown_band_or_picture_lists_what_exists(spec: str, says: str) -> None:
    table = band_table([None] * 3, ["red", "green", "blue"], "uint8")
    with pytest.raises(RasterError, match=says):
        plan_renderings(spec, table, where="a.tif")


def test_the_tables_agree_with_each_other() -> None:
    for sensor in SENSORS.values():
        assert set(sensor.roles) <= set(ROLE_WORDS)
        assert not sensor.codes or len(sensor.codes) == len(sensor.roles)
    assert all(len(SENSORS[key].roles) == count for count, key in SENSOR_BY_COUNT.items())
    assert set(WORDS.values()) <= set(ROLE_WORDS)
    assert set(ALIASES.values()) <= set(PRESETS)
    assert set(AUTOMATIC_ORDER) == set(PRESETS)


def test_the_stretch_takes_the_2nd_to_98th_percentile() -> None:
    values = np.arange(10_001, dtype=np.float64)
    assert percentile_limits(values) == (200.0, 9800.0)
    assert to_bytes(np.array([0.0, 200.0, 5000.0, 9800.0, 1e9, np.nan]), (200.0, 9800.0)).tolist() == [
        0, 0, 128, 255, 255, 0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([], (0.0, 1.0)),
        ([np.nan, np.inf], (0.0, 1.0)),
        ([5.0] * 9, (0.0, 5.0)),
        ([0.0] * 9, (0.0, 1.0)),
        ([-3.0] * 9, (-3.0, -2.0)),
        ([0.0] * 999 + [7.0], (0.0, 7.0)),
        ([-1e300] * 9, (-1e300, -1e300 + 1e294)),
    ],
)
def test_the_stretch_of_constant_and_rare_values_is_never_empty(
    values: list[float], limits: tuple[float, float]
) -> None:
    assert percentile_limits(np.array(values)) == limits


def test_values_of_a_damaged_file_are_stretched_without_an_overflow() -> None:
    wide = np.array([-1.7e308, -8.5e307, 0.0, 8.5e307, 1.7e308])
    low, high = percentile_limits(wide)
    assert -1.7e308 < low < high < 1.7e308
    assert to_bytes(wide, (low, high)).tolist() == [0, 61, 128, 194, 255]
    assert to_bytes(np.array([-np.inf, 1.7e308, np.inf]), (0.0, 5e-324)).tolist() == [0, 255, 255]
    assert normalised_difference(np.array([1.5e308]), np.array([0.5e308]))[0] == 0.5
    signalling = np.array([0x7FA00000], np.uint32).view(np.float32)
    assert np.isnan(as_float(signalling)).all()


def test_indices_and_decibels_have_their_textbook_values() -> None:
    assert normalised_difference(np.array([3.0, 0.0]), np.array([1.0, 0.0]))[0] == 0.5
    assert np.isnan(normalised_difference(np.array([0.0]), np.array([0.0]))[0])
    assert decibels(np.array([1.0, 10.0])).tolist() == [0.0, 20.0]
    assert np.isnan(decibels(np.array([0.0, -1.0]))).all()
    colours = ((0, 0, 0), (100, 100, 100), (200, 0, 50))
    assert ramp(np.array([[0.0, 0.25, 1.0]]), colours).tolist() == [[[0, 0, 0], [50, 50, 50], [200, 0, 50]]]
