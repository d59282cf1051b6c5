"""The decoder: each format to the same RGB, and every bad file refused in words."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from model.data import images
from model.data.images import decode, has_more_pages
from model.errors import ImageError, ImageTooLargeError

WHITE = [255, 255, 255]
# Big blocks of primary colours: lossy formats keep them apart.
BLOCKS = np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], WHITE, [255, 255, 0]]])
PICTURE = BLOCKS.repeat(16, axis=0).repeat(16, axis=1)  # (32, 48, 3)

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
FORMATS = [
    "PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000",
    pytest.param("AVIF", marks=needs_avif),
]  # fmt: skip


def encoded(image: Image.Image | np.ndarray, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file with an RGB header of that size, followed by the chunks."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        crc = zlib.crc32(kind + content)
        parts.append(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc))
    return b"".join(parts)


@pytest.mark.parametrize(
    ("format", "options"),
    [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("PPM", {})],
)
def test_lossless_formats_come_back_exactly(format, options):
    noise = np.random.default_rng(0).integers(0, 256, (21, 13, 3), np.uint8)
    image = decode(encoded(noise, format, **options))
    assert image.dtype == np.uint8
    assert np.array_equal(image, noise)


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_is_read(format):
    image = decode(encoded(PICTURE, format))
    assert image.shape == PICTURE.shape
    centres = image[8::16, 8::16].astype(int)
    assert np.abs(centres - BLOCKS).max() < 12


def test_path_bytes_and_file_give_the_same(tmp_path):
    content = encoded(PICTURE, "PNG")
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    for source in (path, str(path), content, io.BytesIO(content)):
        assert np.array_equal(decode(source), PICTURE)


# EXIF 2.32, table 6: which side of the stored picture is the top, and which the left.
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(format, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    image = decode(encoded(PICTURE, format, exif=exif))
    expected = UPRIGHT[orientation](PICTURE)
    assert image.shape == expected.shape
    assert np.abs(image[8::16, 8::16].astype(int) - expected[8::16, 8::16]).max() < 12


def test_transparency_is_composited_on_white():
    image = np.uint8([[[255, 0, 0, 255], [255, 0, 0, 0], [255, 0, 0, 51]]])
    # 51 / 255 = 0.2 of red over 0.8 of white.
    assert decode(encoded(image, "PNG")).tolist() == [[[255, 0, 0], WHITE, [255, 204, 204]]]


def test_grey_with_alpha_is_composited_on_white():
    image = np.uint8([[[10, 255], [10, 0]]])
    assert decode(encoded(image, "PNG")).tolist() == [[[10] * 3, WHITE]]


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_transparent_palette_entry_becomes_white(format):
    image = Image.fromarray(np.uint8([[0, 1, 2]]))
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    decoded = decode(encoded(image, format, transparency=1))
    assert decoded.tolist() == [[[200, 0, 0], WHITE, [0, 0, 200]]]


def test_transparent_colour_of_an_rgb_png_becomes_white():
    image = Image.fromarray(np.uint8([[[1, 2, 3], [4, 5, 6]]]))
    assert decode(encoded(image, "PNG", transparency=(1, 2, 3))).tolist() == [[WHITE, [4, 5, 6]]]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(format):
    values = np.uint16([[0, 128, 129, 257, 32768, 65535]])
    assert decode(encoded(values, format))[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


def test_16_bit_pgm_is_scaled_by_what_it_could_hold():
    values = np.array([[0x4000, 0x8000]], ">u2")
    assert decode(b"P5 2 1 65535\n" + values.tobytes())[0, :, 0].tolist() == [64, 128]


def test_big_endian_16_bit_grey_is_read():
    image = Image.frombytes("I;16B", (2, 1), b"\x80\x00\xff\xff")
    assert decode(encoded(image, "TIFF"))[0].tolist() == [[128] * 3, WHITE]


def test_float_pictures_are_stretched_over_their_finite_range():
    values = np.float32([[-1.0, 0.0, 1.0, np.nan, np.inf]])
    assert decode(encoded(values, "TIFF"))[0, :, 0].tolist() == [0, 128, 255, 0, 0]


def test_32_bit_integers_are_stretched_over_their_range():
    values = np.int32([[100_000, 150_000, 200_000]])
    assert decode(encoded(values, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [0.0, 7.5, np.nan])
def test_constant_float_pictures_are_black(value):
    values = np.full((2, 2), value, np.float32)
    assert not decode(encoded(values, "TIFF")).any()


def test_one_bit_pictures_are_black_and_white():
    image = Image.fromarray(np.array([[True, False]]))
    assert decode(encoded(image, "PNG")).tolist() == [[WHITE, [0, 0, 0]]]


def test_cmyk_jpeg_keeps_its_colours():
    cyan = decode(encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG"))
    paper = decode(encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG"))
    assert np.abs(cyan.astype(int) - [0, 255, 255]).max() < 12
    assert paper.min() > 243


@pytest.mark.parametrize("format", ["GIF", "TIFF", "WEBP", "PNG", "MPO"])
def test_first_frame_counts(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    content = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(content)).n_frames == 3
    assert np.abs(decode(content).astype(int) - [255, 0, 0]).max() < 12


@pytest.mark.parametrize("format", FORMATS)
def test_truncated_files_are_refused(format):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = encoded(noise, format)
    with pytest.raises(ImageError, match="The picture"):
        decode(content[: len(content) // 2])


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "nothing.png"
    path.touch()
    with pytest.raises(ImageError, match=r"nothing\.png is empty \(0 bytes\)"):
        decode(path)
    with pytest.raises(ImageError, match="The picture is empty"):
        decode(b"")


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"PK\x03\x04" + bytes(30),
        b"8BPS\x00\x01" + bytes(40),
        bytes(1000),
    ],
)
def test_what_is_no_picture_is_refused_with_the_formats_that_are(content):
    with pytest.raises(ImageError, match=r"is not a picture in a format .*png, jpg"):
        decode(content)


def test_formats_that_are_not_listed_are_refused():
    icon = encoded(Image.new("RGB", (16, 16)), "ICO")
    assert Image.open(io.BytesIO(icon)).format == "ICO"
    with pytest.raises(ImageError, match="not a picture in a format"):
        decode(icon)


def test_a_header_of_200_megapixels_is_refused_before_decoding():
    # It has no pixels at all: decoding would call it damaged instead.
    with pytest.raises(ImageTooLargeError, match=r"20000 x 10000 .*limit is 100 megapixels"):
        decode(png(20_000, 10_000, (b"IDAT", b"")))


def test_the_pixel_limit_is_inclusive():
    content = encoded(PICTURE, "PNG")
    assert decode(content, max_pixels=32 * 48).shape == PICTURE.shape
    with pytest.raises(ImageTooLargeError, match="48 x 32"):
        decode(content, max_pixels=32 * 48 - 1)


def test_the_byte_limit_is_inclusive_for_each_source(tmp_path):
    content = encoded(PICTURE, "PNG")
    path = tmp_path / "big.png"
    path.write_bytes(content)
    for source in (content, path):
        assert decode(source, max_bytes=len(content)).shape == PICTURE.shape
    for source in (content, path, io.BytesIO(content)):
        with pytest.raises(ImageTooLargeError, match="larger than the limit"):
            decode(source, max_bytes=len(content) - 1)


def test_a_file_may_be_larger_than_what_is_sent(tmp_path, monkeypatch):
    content = encoded(PICTURE, "BMP")
    monkeypatch.setattr(images, "MAX_BYTES", len(content) - 1)
    path = tmp_path / "scan.bmp"
    path.write_bytes(content)
    assert np.array_equal(decode(path), PICTURE)
    for source in (content, io.BytesIO(content)):
        with pytest.raises(ImageTooLargeError, match="larger than the limit"):
            decode(source)
    monkeypatch.setattr(images, "MAX_FILE_BYTES", len(content) - 1)
    with pytest.raises(ImageTooLargeError, match="larger than the limit"):
        decode(path)


def test_further_pages_of_a_tiff_are_noticed(tmp_path):
    def file(*kinds: int) -> Path:
        pages = [Image.fromarray(PICTURE) for _ in kinds]
        for page, kind in zip(pages, kinds, strict=True):
            page.encoderinfo = {"tiffinfo": {254: kind}}
        path = tmp_path / "a.tif"
        pages[0].save(path, save_all=True, append_images=pages[1:])
        with Image.open(path) as image:
            assert image.n_frames == len(kinds)
        return path

    assert has_more_pages(file(0, 0))
    assert has_more_pages(file(2, 2))
    assert has_more_pages(file(0, 1, 0))
    assert not has_more_pages(file(0))
    assert not has_more_pages(file(0, 1, 4, 5))  # a thumbnail, masks
    path = tmp_path / "a.png"
    path.write_bytes(encoded(PICTURE, "PNG"))
    assert not has_more_pages(path)


def test_a_png_without_pixels_is_refused():
    with pytest.raises(ImageError):
        decode(png(0, 4))


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.png cannot be opened: No such file"):
        decode(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="cannot be opened"):
        decode(tmp_path)


def test_messages_name_the_file_and_not_its_folder(tmp_path):
    path = Path(tmp_path) / "broken.png"
    path.write_bytes(encoded(PICTURE, "PNG")[:60])
    with pytest.raises(ImageError) as caught:
        decode(path)
    assert "broken.png is damaged or cut short" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("format", FORMATS)
def test_mutated_files_raise_nothing_but_image_error(format):
    rng = np.random.default_rng(0)
    valid = encoded(PICTURE, format)
    for _ in range(300):
        content = bytearray(valid)
        for _ in range(rng.integers(1, 8)):
            # Headers are short and decide most: half of the blows go there.
            limit = 64 if rng.random() < 0.5 else len(content)
            content[rng.integers(min(limit, len(content)))] = rng.integers(256)
        if rng.random() < 0.3:
            del content[rng.integers(len(content)) :]
        try:
            image = decode(bytes(content), max_pixels=1_000_000)
        except ImageError:
            continue
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3


@given(
    st.binary(max_size=200),
    st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\x00", b"RIFF", b"BM"]
    ),
)
def test_arbitrary_bytes_raise_nothing_but_image_error(rest, magic):
    with pytest.raises(ImageError):
        decode(magic + rest, max_pixels=1_000_000)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "CMYK", "I;16", "I", "F"])
def test_bands_of_a_picture_fit_together(mode, monkeypatch):
    """Converted seven rows at a time, it is what it is at once."""
    values = np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8)
    if mode in ("I;16", "I", "F"):
        kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
        image = Image.fromarray((values[..., 0] * 257.0).astype(kinds[mode]))
    else:
        image = Image.fromarray(values).convert(mode)
    content = encoded(image, "TIFF")
    whole = decode(content)
    assert len(np.unique(whole)) > 20
    monkeypatch.setattr("model.data.images.BAND_ROWS", 7)
    assert np.array_equal(decode(content), whole)
