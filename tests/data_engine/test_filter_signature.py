"""Signatures: alike for copies in any of the eight moves, unlike for different pictures; and the index is exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from data_engine.filter.index import NEAREST, SignatureIndex, find_copies, keep_first
from data_engine.filter.signature import (
    ENOUGH_PX,
    LENGTH,
    MOVES,
    SIMILARITY,
    compare,
    hash_signatures,
    is_flat,
    move_signatures,
    sign_picture,
)
from data_engine.store.images import ImageFaultError
from data_engine.store.pixels import digest_image, load_grey, load_rgb
from tests.data_engine.made_corpora import encode, make_picture
from vlm.records import Image

METHODS = Picture.Transpose
TURNED = {
    "as it is": None,
    "mirrored left to right": METHODS.FLIP_LEFT_RIGHT,
    "mirrored top to bottom": METHODS.FLIP_TOP_BOTTOM,
    "turned by 180 degrees": METHODS.ROTATE_180,
    "mirrored on the diagonal": METHODS.TRANSPOSE,
    "turned clockwise by 90 degrees": METHODS.ROTATE_270,
    "turned counterclockwise by 90 degrees": METHODS.ROTATE_90,
    "mirrored on the other diagonal": METHODS.TRANSVERSE,
}


def sign(picture: Picture.Image, form: str = "PNG", **options: int) -> np.ndarray:
    return sign_picture(load_grey(Image(data=encode(picture, form, **options)), enough_px=ENOUGH_PX))


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    moved = move_signatures(first[None])[:, 0]
    return float(compare(moved, np.repeat(second[None], 8, axis=0)).max())


@pytest.mark.parametrize("size", [(96, 96), (120, 70)])
def test_every_move_of_a_signature_is_the_signature_of_the_moved_picture(size):
    picture = make_picture(3, size)
    moved = move_signatures(sign(picture)[None])[:, 0]
    for name, method in TURNED.items():
        turned = picture if method is None else picture.transpose(method)
        found = compare(moved, np.repeat(sign(turned)[None], 8, axis=0))
        assert MOVES[int(found.argmax())] == name
        assert found.max() > 0.999


COPIES = {
    "JPEG quality 60": lambda picture: sign(picture, "JPEG", quality=60),
    "half the size": lambda picture: sign(picture.resize((48, 48), Picture.Resampling.BICUBIC)),
    "half the size, JPEG": lambda picture: sign(picture.resize((48, 48)), "JPEG", quality=60),
    "twice the size": lambda picture: sign(picture.resize((192, 192), Picture.Resampling.BILINEAR)),
    "turned, JPEG": lambda picture: sign(picture.transpose(METHODS.ROTATE_90), "JPEG", quality=60),
    "mirrored, half, JPEG": lambda picture: sign(
        picture.transpose(METHODS.FLIP_LEFT_RIGHT).resize((48, 48)), "JPEG", quality=75
    ),
    "grey": lambda picture: sign(picture.convert("L")),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_and_nothing_else(name):
    pictures = [make_picture(seed) for seed in range(40)]
    index = SignatureIndex(np.stack([sign(picture) for picture in pictures]))
    matches = index.search(np.stack([COPIES[name](picture) for picture in pictures]))
    assert matches.query.tolist() == matches.found.tolist() == list(range(40))
    assert matches.similarity.min() >= SIMILARITY


def test_different_pictures_are_far_apart():
    signatures = np.stack([sign(make_picture(seed)) for seed in range(60)])
    likest = max(likeness(signatures[i], signatures[j]) for i in range(60) for j in range(i))
    assert likest < 0.7


def test_a_flat_picture_is_like_nothing():
    flat = sign(Picture.new("RGB", (64, 64), (20, 90, 20)))
    assert is_flat(flat[None]).all()
    both = np.stack([flat, flat, sign(make_picture(1))])
    assert len(find_copies(both)) == 0
    assert compare(both[:1], both[1:2])[0] == 0


def test_the_index_finds_what_comparing_all_pairs_finds():
    rng = np.random.default_rng(0)
    base = rng.integers(-127, 128, (400, LENGTH)).astype(np.int8)
    noise = rng.normal(0, 25, (400, LENGTH))
    noisy = np.clip(base + noise, -127, 127).astype(np.int8)
    moves = rng.integers(0, 8, 400)
    moved = move_signatures(noisy)[moves, np.arange(400)]
    bits = hash_signatures(move_signatures(moved).reshape(-1, LENGTH)).reshape(8, 400)
    alike = [compare(rows, base) for rows in move_signatures(moved)]
    near = [np.bitwise_count(row ^ hash_signatures(base)) <= NEAREST for row in bits]
    copied = np.array([bits & (cosine >= 0.9) for bits, cosine in zip(near, alike, strict=True)])
    expected = set(np.flatnonzero(copied.any(axis=0)).tolist())
    matches = SignatureIndex(base).search(moved, similarity=0.9)
    assert len(expected) > 200
    assert {int(q) for q, f in zip(matches.query, matches.found, strict=True) if q == f} == expected
    assert all(q == f for q, f in zip(matches.query, matches.found, strict=True))


@pytest.mark.parametrize("most", [1, 7, 50])
def test_the_size_of_the_parts_changes_nothing(monkeypatch, most):
    signatures = np.stack([sign(make_picture(seed % 15)) for seed in range(30)])
    whole = find_copies(signatures)
    monkeypatch.setattr("data_engine.filter.index._CANDIDATES", most)
    monkeypatch.setattr("data_engine.filter.index._QUERIES", 4)
    parts = find_copies(signatures)
    assert whole.query.tolist() == parts.query.tolist() == list(range(15, 30))
    assert whole.found.tolist() == parts.found.tolist() == list(range(15))


def test_the_first_of_several_copies_stays_and_likeness_does_not_creep():
    pairs = find_copies(np.stack([sign(make_picture(seed)) for seed in (1, 2, 1, 1, 2)]))
    assert keep_first(5, pairs).tolist() == [0, 1, 0, 0, 1]
    chain = pairs.select(np.zeros(len(pairs), bool))
    linked = type(chain)(np.array([1, 2]), np.array([0, 1]), np.ones(2, np.float32), np.zeros(2, np.int8))
    assert keep_first(3, linked).tolist() == [0, 0, 2]


def test_an_empty_corpus_has_no_copies():
    assert len(find_copies(np.empty((0, LENGTH), np.int8))) == 0


def test_a_file_and_its_bytes_have_one_digest_and_one_picture(tmp_path: Path):
    data = encode(make_picture(5), "JPEG", quality=80)
    (tmp_path / "a.jpg").write_bytes(data)
    by_path, by_bytes = Image(path=str(tmp_path / "a.jpg")), Image(data=data)
    assert digest_image(by_path) == digest_image(by_bytes)
    assert np.array_equal(load_rgb(by_path, enough_px=64), load_rgb(by_bytes, enough_px=64))


def test_a_large_jpeg_is_decoded_small_and_signed_alike():
    large = make_picture(8).resize((1600, 1200), Picture.Resampling.BICUBIC)
    data = encode(large, "JPEG", quality=90)
    small = load_grey(Image(data=data), enough_px=ENOUGH_PX)
    assert small.shape == (300, 400)
    assert compare(sign_picture(small)[None], sign(large)[None])[0] > 0.999


def test_bands_beyond_eight_bits_are_read_through_their_rendering(tmp_path: Path):
    import rasterio

    path = tmp_path / "deep.tif"
    grey = np.asarray(make_picture(4).convert("L"))
    place = {"transform": rasterio.Affine(1, 0, 0, 0, -1, 96), "width": 96, "height": 96}
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype="uint16", **place) as file:
        file.write(grey.astype(np.uint16) * 37 + 400, 1)
    read = sign_picture(load_grey(Image(path=str(path)), enough_px=ENOUGH_PX))
    in_memory = sign_picture(load_grey(Image(data=path.read_bytes()), enough_px=ENOUGH_PX))
    assert np.array_equal(read, in_memory)
    assert compare(read[None], sign(make_picture(4))[None])[0] > 0.98


@pytest.mark.parametrize(
    ("name", "content", "reason"), [("gone.png", None, "missing image"), ("bad.png", b"\x89PNG\r\n", "corrupt image")]
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageFaultError, match=name.replace(".", r"\.")) as caught:
        load_rgb(Image(path=str(tmp_path / name)), enough_px=64)
    assert caught.value.reason == reason


def test_a_cut_file_is_refused_and_not_half_shown():
    data = encode(make_picture(2), "PNG")
    with pytest.raises(ImageFaultError, match="an embedded image cannot be read"):
        load_rgb(Image(data=data[: len(data) // 2]), enough_px=64)
