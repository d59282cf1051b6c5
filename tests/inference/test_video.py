"""Videos: the same frames at the same times in and out."""

from fractions import Fraction

import av
import numpy as np
import pytest

from model.errors import ImageError, ImageTooLargeError
from model.inference import inputs, video
from model.inference.folders import Job, segment_files
from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmenter
from model.inference.video import VideoReader, VideoWriter


def film(
    path,
    frames: np.ndarray,
    rate: Fraction,
    times: list[int] | None = None,
    pixel_aspect: Fraction = Fraction(0),
) -> None:
    """Writes RGB frames, uint8 (N, H, W, 3), with another program's usual settings."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "8"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.sample_aspect_ratio = pixel_aspect
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def moving_square(count: int, height: int, width: int) -> np.ndarray:
    frames = np.full((count, height, width, 3), 40, np.uint8)
    for number in range(count):
        frames[number, 4:12, number : number + 8] = (220, 60, 60)
    return frames


def seconds(reader: VideoReader) -> list[Fraction]:
    return [time * reader.time_base for time, _ in reader]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(5)])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_frame_count_rate_and_times_stay(tmp_path, rate, name):
    source, target = tmp_path / "in.mp4", tmp_path / name
    film(source, moving_square(13, 32, 48), rate)
    with VideoReader(source) as reader, VideoWriter(target, rate, reader.time_base) as writer:
        assert (reader.rate, reader.length) == (rate, 13)
        for time, pixels in reader:
            writer.add(time, pixels if name.endswith("mp4") else pixels[..., 0])
        writer.finish()
    with VideoReader(source) as reader, VideoReader(target) as written:
        assert written.rate == pytest.approx(rate, rel=1e-3)
        expected, found = seconds(reader), seconds(written)
        assert len(found) == 13
        # Matroska counts in milliseconds.
        assert max(abs(a - b) for a, b in zip(expected, found, strict=True)) <= Fraction(1, 1000)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", name]


def test_times_between_frames_may_differ(tmp_path):
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    times = [0, 1, 2, 10, 11, 40]
    film(source, moving_square(6, 16, 24), Fraction(25), times)
    with (
        VideoReader(source) as reader,
        VideoWriter(target, reader.rate, reader.time_base) as writer,
    ):
        for time, pixels in reader:
            writer.add(time, pixels)
        writer.finish()
    with VideoReader(target) as written:
        assert seconds(written) == [Fraction(time, 25) for time in times]


def test_masks_lose_nothing(tmp_path):
    labels = np.random.default_rng(0).integers(0, 256, (5, 31, 45), np.uint8)
    path = tmp_path / "mask.mkv"
    with VideoWriter(path, Fraction(25), Fraction(1, 25)) as writer:
        for time, pixels in enumerate(labels):
            writer.add(time, pixels)
        writer.finish()
    with av.open(str(path)) as container:
        read = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert np.array_equal(read, labels)


@pytest.mark.parametrize("size", [(32, 48), (31, 45)], ids=["even", "odd"])
def test_overlays_keep_their_colours(tmp_path, size):
    frames = np.full((4, *size, 3), (30, 90, 200), np.uint8)
    frames[:, :, 24:] = (220, 60, 40)
    path = tmp_path / "overlay.mp4"
    with VideoWriter(path, Fraction(25), Fraction(1, 25)) as writer:
        for time, pixels in enumerate(frames):
            writer.add(time, pixels)
        writer.finish()
    with VideoReader(path) as reader:
        read = np.stack([pixels for _, pixels in reader])
    assert read.shape[1:] == (32, 48 if size[1] == 48 else 46, 3)  # even, as players want it
    difference = np.abs(read[:, : size[0], : size[1]].astype(int) - frames)
    assert max(difference[:, :, :20].max(), difference[:, :, 28:].max()) <= 6


def turn(path) -> None:
    """Notes in a file of 32 rows that its frames are to be turned a quarter clockwise."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    one = 1 << 16
    turned = (0, one, 0, -one, 0, 0, 32 * one, 0, 1 << 30)
    content[matrix : matrix + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in turned)
    path.write_bytes(content)


@pytest.mark.parametrize("turned", [False, True])
def test_pixels_that_are_not_square_stay_so(make_checkpoint, tmp_path, turned):
    """As on DVDs and old camcorders."""
    path = tmp_path / "in" / "a.mp4"
    path.parent.mkdir()
    film(path, moving_square(3, 32, 48), Fraction(25), pixel_aspect=Fraction(16, 9))
    if turned:
        turn(path)
    segmenter = Segmenter(make_checkpoint(tmp_path / "tiny"))
    job = Job(segmenter, ["overlay"], {1, 2}, SegmentOptions())
    items = inputs.find([str(path)], tmp_path / "out")
    segment_files(job, items, tmp_path / "out")
    with av.open(str(tmp_path / "out" / "overlay" / "a.mp4")) as container:
        aspect = container.streams.video[0].sample_aspect_ratio
    assert aspect == (Fraction(9, 16) if turned else Fraction(16, 9))


def test_videos_filmed_upright_are_read_upright(tmp_path):
    """Telephones film lying down and note how to turn the frames: here a quarter clockwise."""
    path = tmp_path / "in.mp4"
    frames = moving_square(3, 32, 48)
    film(path, frames, Fraction(25))
    turn(path)
    with VideoReader(path) as reader:
        read = np.stack([pixels for _, pixels in reader])
    expected = np.rot90(frames, -1, axes=(1, 2))
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 8


def test_what_is_no_video_is_said(tmp_path):
    path = tmp_path / "in.mp4"
    path.write_bytes(b"not a video" * 100)
    with pytest.raises(ImageError, match=r"in\.mp4 cannot be read as a video"):
        VideoReader(path)


PLAYLIST = """#EXTM3U
#EXT-X-TARGETDURATION:1
#EXTINF:1.0,
{path}
#EXT-X-ENDLIST
"""


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4"])
@pytest.mark.parametrize("text", [PLAYLIST, "ffconcat version 1.0\nfile '{path}'\n"])
def test_a_list_of_other_videos_opens_none_of_them(tmp_path, text, name):
    secret = tmp_path / "secret.ts"
    film(secret, moving_square(5, 64, 64), Fraction(25))
    with VideoReader(secret) as reader:
        assert len(list(reader)) == 5
    path = tmp_path / name
    path.write_text(text.format(path=secret))
    with pytest.raises(ImageError, match="cannot be read as a video"), VideoReader(path) as reader:
        list(reader)


@pytest.mark.parametrize("suffix", inputs.VIDEO_SUFFIXES)
def test_every_kind_of_video_is_read(tmp_path, suffix):
    path = tmp_path / f"in{suffix}"
    frames = moving_square(5, 64, 64)
    codec = {".webm": "libvpx-vp9", ".ogv": "libvpx"}.get(suffix, "mpeg2video")
    codec = {".wmv": "wmv2", ".flv": "flv1", ".mp4": "libx264", ".m4v": "mpeg4"}.get(suffix, codec)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        assert next(pixels.shape for _, pixels in reader) == (64, 64, 3)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ImageError, match="contains no video"):
        VideoReader(path)


def test_a_codec_that_is_not_known_is_said(tmp_path):
    path = tmp_path / "odd.mkv"
    film(path, moving_square(2, 32, 48), Fraction(25))
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ"))
    with pytest.raises(ImageError, match=r"odd\.mkv"):
        VideoReader(path)


def test_pictures_too_large_are_refused_before_any_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "large.mp4"
    film(path, moving_square(2, 32, 48), Fraction(25))
    monkeypatch.setattr(video, "MAX_PIXELS", 32 * 48 - 1)
    with pytest.raises(ImageTooLargeError, match=r"large\.mp4 has 48 x 32 pixels"):
        VideoReader(path)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_pictures_of_another_size_are_refused(tmp_path, name):
    """Scaled to the first one's size, class ids would turn into others."""
    small, large = np.zeros((32, 48, 3), np.uint8), np.zeros((64, 48, 3), np.uint8)
    if name.endswith("mkv"):
        small, large = small[..., 0], large[..., 0]
    with VideoWriter(tmp_path / name, Fraction(5), Fraction(1, 5)) as writer:
        writer.add(0, small)
        with pytest.raises(ImageError, match="from 48 x 32 to 48 x 64 pixels"):
            writer.add(1, large)


def test_an_unfinished_video_leaves_nothing(tmp_path):
    path = tmp_path / "overlay.mp4"
    with VideoWriter(path, Fraction(25), Fraction(1, 25)) as writer:
        writer.add(0, moving_square(1, 16, 16)[0])
    assert not list(tmp_path.iterdir())


def test_a_title_in_another_encoding_is_no_obstacle(tmp_path):
    path = tmp_path / "in.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "CAFE12"
        stream = container.add_stream("mpeg4", rate=5)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(moving_square(1, 32, 48)[0], format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    assert content.count(b"CAFE12") == 1
    path.write_bytes(content.replace(b"CAFE12", "CAFÉ12".encode("latin-1")))
    with VideoReader(path) as reader:
        assert len(list(reader)) == 1
