"""TFRecord files of samples: TensorFlow reads what we write; the checksums are those that RFC 3720 publishes."""

import numpy as np
import pytest

from manyfaces.data_layer.mtcnn.tfrecords import KINDS, SampleWriter, masked_crc32c, open_samples
from manyfaces.errors import InputError


def made(count, side, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 256, (count, side, side, 3), np.uint8), rng.normal(size=(count, 4)).astype(np.float32),
            rng.normal(size=(count, 10)).astype(np.float32))


def written(path, kind="part", side=12, count=7):
    arrays = made(count, side)
    with SampleWriter(path, kind, side) as writer:
        writer.write(*(array[:3] for array in arrays))
        writer.write(*(array[3:3] for array in arrays))
        writer.write(*(array[3:] for array in arrays))
    assert writer.count == count
    return arrays


@pytest.mark.parametrize("data, crc", [
    (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C), (b"123456789", 0xE3069283), (b"", 0)])
def test_checksums_of_published_texts(data, crc):
    """RFC 3720, B.4, and the check value of CRC-32C; TFRecord rotates it by 15 bits and adds A282EAD8."""
    assert masked_crc32c(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def test_the_checksums_of_a_file_are_those_of_its_bytes(tmp_path):
    """Bit by bit, by the definition: Castagnoli's polynomial with the lowest bit first."""
    written(tmp_path / "x.tfrecord")
    data = (tmp_path / "x.tfrecord").read_bytes()
    length = int.from_bytes(data[:8], "little")
    for text, stored in ((data[:8], data[8:12]), (data[12:12 + length], data[12 + length:16 + length])):
        crc = 2**32 - 1
        for byte in text:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        crc ^= 2**32 - 1
        assert int.from_bytes(stored, "little") == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


@pytest.mark.parametrize("kind", KINDS)
def test_written_samples_are_read_in_any_order(kind, tmp_path):
    images, boxes, landmarks = written(tmp_path / "x.tfrecord", kind)
    records = open_samples(tmp_path / "x.tfrecord", kind, 12)
    order = [5, 0, 3]
    np.testing.assert_array_equal(records[order]["image"], images[order])
    np.testing.assert_array_equal(records[order]["box"], boxes[order])
    np.testing.assert_array_equal(records[order]["landmarks"], landmarks[order])


def test_tensorflow_reads_the_files(tmp_path):
    tf = pytest.importorskip("tensorflow")
    images, boxes, landmarks = written(tmp_path / "x.tfrecord", "landmark", 24)
    features = {"image": tf.io.FixedLenFeature((), tf.string), "label": tf.io.FixedLenFeature((), tf.int64),
                "box": tf.io.FixedLenFeature((4,), tf.float32), "landmarks": tf.io.FixedLenFeature((10,), tf.float32)}
    rows = list(tf.data.TFRecordDataset(str(tmp_path / "x.tfrecord")))  # it checks both checksums of each record
    assert len(rows) == 7
    for n, row in enumerate(rows):
        found = tf.io.parse_single_example(row, features)
        assert found["image"].numpy() == images[n].tobytes() and int(found["label"]) == -2
        np.testing.assert_array_equal(found["box"], boxes[n])
        np.testing.assert_array_equal(found["landmarks"], landmarks[n])


def test_a_file_appears_completely_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), SampleWriter(tmp_path / "x.tfrecord", "part", 12) as writer:
        writer.write(*made(2, 12))
        assert not (tmp_path / "x.tfrecord").exists()
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    with SampleWriter(tmp_path / "none.tfrecord", "part", 12):
        pass
    assert not list(tmp_path.iterdir()), "no file without records"


def test_files_of_another_kind_are_named(tmp_path):
    path = tmp_path / "x.tfrecord"
    with pytest.raises(InputError, match=r"x\.tfrecord: cannot be read \(No such file"):
        open_samples(path, "part", 12)
    written(path)
    with pytest.raises(InputError, match=r"x\.tfrecord: record 0 of 7 is damaged, or not a landmark|a multiple of"):
        open_samples(path, "landmark", 12)
    with pytest.raises(InputError, match="expected a multiple of"):
        open_samples(path, "part", 24)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="expected a multiple of"):
        open_samples(path, "part", 12)
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with pytest.raises(InputError, match="record 0 of 7 is damaged, or not a part sample of 12 px"):
        open_samples(path, "part", 12)


def test_a_change_of_any_byte_of_any_record_is_found(tmp_path):
    path = tmp_path / "x.tfrecord"
    written(path)
    whole = path.read_bytes()
    assert len(open_samples(path, "part", 12)) == 7
    length, rng = len(whole) // 7, np.random.default_rng(0)
    for place in {*range(12), *range(length - 60, length), *rng.integers(0, length, 60).tolist()}:
        record = int(rng.integers(7))
        at = record * length + place
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << int(rng.integers(8))]) + whole[at + 1 :])
        with pytest.raises(InputError, match=f"record {record} of 7 is damaged"):
            open_samples(path, "part", 12)


def test_a_number_that_is_not_finite_is_found_though_its_checksum_is_right(tmp_path):
    images, boxes, landmarks = made(3, 12)
    boxes[1, 2] = np.nan
    with SampleWriter(tmp_path / "x.tfrecord", "part", 12) as writer:
        writer.write(images, boxes, landmarks)
    with pytest.raises(InputError, match="record 1 of 3 is damaged"):
        open_samples(tmp_path / "x.tfrecord", "part", 12)


def test_records_beyond_the_first_thousands_are_checked_too(tmp_path):
    path = tmp_path / "x.tfrecord"
    with SampleWriter(path, "part", 4) as writer:
        writer.write(*made(3000, 4))
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match="record 2999 of 3000 is damaged"):
        open_samples(path, "part", 4)
