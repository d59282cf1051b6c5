"""Raster encodings, each as other programs write it, read to the pixel."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from model.data.classes import VOID, ClassTable
from model.data.masks import (
    TRANSPARENT,
    MaskEncoding,
    index_png,
    read_binary,
    read_colours,
    read_index,
    read_red_channel,
    to_labels,
)
from model.errors import DataError, ImageError

CLASSES = ClassTable.named(water="#e2a929", land="#8429f6", road="#6ec1e4")
VALUES = np.arange(20, dtype=np.uint8).reshape(4, 5) % 4


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(pixels: np.ndarray, **options) -> bytes:
    return encoded(Image.fromarray(pixels), **options)


def raw_png(width: int, height: int, depth: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG put together by hand: Pillow writes no grey of 2 and 4 bits, and no 48-bit RGB."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        file += struct.pack(">I", len(data)) + name + data + checksum
    return file


def coloured(labels: np.ndarray) -> np.ndarray:
    return CLASSES.palette()[labels]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_index_masks_are_read_from_every_lossless_format(kind):
    assert np.array_equal(read_index(encoded(Image.fromarray(VALUES), kind)), VALUES)


def test_index_values_are_int32_whatever_the_file():
    assert read_index(png(VALUES)).dtype == np.int32


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_keeps_its_values(bits):
    # As optimisers write it. Pillow stretches such grey to 0..255; the ids are not stretched.
    values = VALUES % 2**bits
    rows = b""
    for row in values:
        packed = "".join(f"{v:0{bits}b}" for v in row)
        packed = packed.ljust(-(-len(packed) // 8) * 8, "0")
        rows += b"\0" + int(packed, 2).to_bytes(len(packed) // 8, "big")
    file = raw_png(5, 4, bits, 0, rows)
    assert np.array_equal(read_index(file), values)


def test_palette_masks_give_indices_and_not_colours():
    image = Image.fromarray(VALUES)
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200, 7, 7, 7])
    assert np.array_equal(read_index(encoded(image)), VALUES)
    assert np.array_equal(read_index(encoded(image, transparency=0)), VALUES)


def test_sixteen_bit_masks_keep_values_above_255():
    values = np.uint16([[0, 1, 255], [256, 4000, 65535]])
    assert np.array_equal(read_index(png(values)), values)
    assert np.array_equal(read_index(encoded(Image.fromarray(values), "TIFF")), values)


def test_float_tiffs_are_read_if_they_hold_whole_numbers():
    whole = np.float32([[0, 3], [17, 255]])
    assert np.array_equal(read_index(encoded(Image.fromarray(whole), "TIFF")), whole)
    for wrong in (0.5, np.nan, np.inf, 1e20):
        pixels = np.float32([[0, wrong]])
        with pytest.raises(DataError, match="fractions"):
            read_index(encoded(Image.fromarray(pixels), "TIFF"))


def test_grey_with_alpha_is_read_only_if_opaque():
    pixels = np.dstack([VALUES, np.full_like(VALUES, 255)])
    assert np.array_equal(read_index(png(pixels)), VALUES)
    pixels[1, 1, 1] = 3
    with pytest.raises(DataError, match="transparent pixels"):
        read_index(png(pixels))


def test_colour_masks_are_refused_where_ids_are_expected():
    with pytest.raises(DataError, match=r"colour mask \(mode RGB\)"):
        read_index(png(coloured(VALUES % 3)))
    with pytest.raises(DataError, match="no red channel"):
        read_red_channel(png(VALUES))
    with pytest.raises(DataError, match="mode I"):
        read_colours(png(VALUES.astype(np.uint16)))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("read", [read_index, read_binary, read_red_channel, read_colours])
def test_lossy_formats_are_refused(kind, read):
    if kind == "AVIF" and not Image.registered_extensions().get(".avif"):
        pytest.skip("this Pillow has no AVIF")
    with pytest.raises(DataError, match="Export the masks as PNG"):
        read(encoded(Image.fromarray(coloured(VALUES % 3)), kind))


def test_a_tiff_with_jpeg_inside_is_refused():
    file = encoded(Image.fromarray(coloured(VALUES % 3)), "TIFF", compression="jpeg")
    with pytest.raises(DataError, match="is a JPEG"):
        read_colours(file)


def test_binary_masks_are_0_and_255_or_one_bit():
    truth = VALUES > 1
    for file in (png(truth.astype(np.uint8) * 255), png(truth)):
        assert np.array_equal(read_binary(file), truth)
    with pytest.raises(DataError, match=r"values \[1, 254\] besides 0 and 255"):
        read_binary(png(np.uint8([[0, 1, 254, 255]])))


@pytest.mark.parametrize("channels", [3, 4])
def test_red_channel_masks_ignore_the_other_channels(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, channels), np.uint8)
    pixels[..., 0] = VALUES
    assert np.array_equal(read_red_channel(png(pixels)), VALUES)


def test_colours_are_read_from_rgb_rgba_and_palette_files():
    labels = VALUES % 3
    rgb = coloured(labels)
    rgba = np.dstack([rgb, np.full(labels.shape, 255, np.uint8)])
    shuffled = Image.fromarray(2 - labels)  # a palette in another order, as savers choose it
    shuffled.putpalette(CLASSES.palette()[[2, 1, 0]].tobytes())
    encoding = MaskEncoding.colours(CLASSES)
    for file in (png(rgb), png(rgba), encoded(shuffled)):
        assert np.array_equal(encoding.read(file), labels)


def test_unknown_colours_are_named_with_their_counts():
    rgb = coloured(VALUES % 3)
    rgb[0, 0] = (1, 2, 3)
    rgb[1, :2] = (255, 0, 0)
    expected = r"#ff0000 \(2 pixels\), #010203 \(1 pixels\) .*knows #6ec1e4, #8429f6, #e2a929"
    with pytest.raises(DataError, match=expected):
        MaskEncoding.colours(CLASSES).read(png(rgb))


def test_colours_can_be_void():
    rgb = coloured(VALUES % 3)
    rgb[0, 0] = 0
    rgb[1, 1] = (9, 9, 9)
    expected = VALUES % 3
    expected[0, 0] = VOID
    with pytest.raises(DataError, match="#090909"):
        MaskEncoding.colours(CLASSES, void=["#000000"]).read(png(rgb))
    expected[1, 1] = VOID
    both = MaskEncoding.colours(CLASSES, void=["#000000", "#090909"])
    assert np.array_equal(both.read(png(rgb)), expected)


def test_transparent_pixels_are_a_value_of_their_own():
    rgba = np.dstack([coloured(VALUES % 3), np.full(VALUES.shape, 255, np.uint8)])
    rgba[2, 2, 3] = 0
    rgba[3, 3, 3] = 100  # half transparent: the colour still counts
    assert (read_colours(png(rgba)) == TRANSPARENT).sum() == 1
    with pytest.raises(DataError, match=r"transparent \(1 pixels\)"):
        MaskEncoding.colours(CLASSES).read(png(rgba))
    rgba[..., 3] = 0  # an alpha channel that nobody filled in
    assert np.array_equal(MaskEncoding.colours(CLASSES).read(png(rgba)), VALUES % 3)


def test_sixteen_bits_per_colour_channel_are_refused():
    file = raw_png(1, 1, 16, 2, b"\0" + bytes(6))
    for read in (read_colours, read_red_channel):
        with pytest.raises(DataError, match="16 bits"):
            read(file)


def test_a_mask_with_exif_rotation_is_turned_like_a_picture():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = np.rot90(VALUES, -1)
    assert np.array_equal(read_index(png(VALUES, exif=exif)), turned)
    palette = Image.fromarray(VALUES)
    palette.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200, 7, 7, 7])
    colours = np.int32([0xC80000, 0x00C800, 0x0000C8, 0x070707])
    assert np.array_equal(read_colours(encoded(palette, exif=exif)), colours[turned])


def test_metadata_does_not_disturb():
    info = PngInfo()
    info.add_text("Software", "labels")
    assert np.array_equal(read_index(png(VALUES, pnginfo=info)), VALUES)


def test_trimaps_and_other_mappings():
    trimap = MaskEncoding("index", {1: 0, 2: 1, 3: 2})
    assert np.array_equal(trimap.read(png(VALUES % 3 + 1)), VALUES % 3)
    with pytest.raises(DataError, match=r"values \[0\] that this data set does not know"):
        trimap.read(png(VALUES % 3))
    camvid = MaskEncoding.ids(3, void=[11])
    assert camvid.read(png(np.uint8([[0, 2, 11]]))).tolist() == [[0, 2, VOID]]
    wide = MaskEncoding("index", {0: 0, 40000: 1})
    assert wide.read(png(np.uint16([[0, 40000]]))).tolist() == [[0, 1]]


def test_to_labels_names_values_below_and_above_what_is_known():
    for wrong in (-1, 3, 70000, 2**24):
        with pytest.raises(DataError, match=rf"\[{wrong}\].*it knows \[0, 1, 2\]"):
            to_labels(np.int32([[0, wrong]]), {0: 0, 1: 1, 2: 2}, "a.png")


def test_without_any_known_value_all_are_unknown():
    for values in (np.int32([[0, 3]]), np.int32([[-1, 2**20]])):
        assert to_labels(values, {}, "a.png", unknown=VOID).tolist() == [[VOID, VOID]]
        with pytest.raises(DataError, match=r"it knows \[\]. 2 pixels are affected"):
            to_labels(values, {}, "a.png")


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"no picture", png(VALUES)[:-30]])
def test_unreadable_masks_are_image_errors(content):
    for storage in ("index", "binary", "red", "colour"):
        with pytest.raises((ImageError, DataError)) as caught:
            MaskEncoding.ids(4, storage).read(content)
        assert isinstance(caught.value, ImageError) or storage == "red"


@pytest.mark.parametrize(("largest", "kind"), [(20, "P5"), (20, "P2"), (1000, "P5"), (255, "P2")])
def test_grey_pnm_of_any_largest_value_is_read_as_the_value(largest, kind):
    values = [0, 1, 11, largest]
    if kind == "P2":
        pixels = " ".join(map(str, values)).encode()
    else:
        pixels = np.array(values, ">u2" if largest > 255 else "u1").tobytes()
    content = f"{kind}\n4 1\n{largest}\n".encode() + pixels
    assert read_index(content).tolist() == [values]


def test_index_png_takes_labels_only():
    with pytest.raises(ValueError, match="uint8"):
        index_png(np.zeros((2, 2), np.int32), CLASSES)


def test_index_png_shows_the_class_colours_and_keeps_the_ids():
    labels = np.uint8([[0, 1, 2, VOID]])
    image = Image.open(io.BytesIO(index_png(labels, CLASSES)))
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), labels)
    assert image.convert("RGB").getpixel((1, 0)) == (0x84, 0x29, 0xF6)
