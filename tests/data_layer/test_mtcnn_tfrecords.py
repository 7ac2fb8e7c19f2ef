"""TFRecord files of samples: TensorFlow reads what we write; the checksum against its twin and a published value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyfaces.data_layer import masked_crc32c, reference
from manyfaces.data_layer.mtcnn.tfrecords import KINDS, SampleWriter, open_samples
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


@given(st.integers(0, 5), st.integers(0, 70), st.integers(0, 2**32))
def test_checksums_equal_their_twin(rows, length, seed):
    data = np.random.default_rng(seed).integers(0, 256, (rows, length), np.uint8)
    found = masked_crc32c(data)
    assert found.dtype == np.uint32 and found.tolist() == reference.masked_crc32c(data).tolist()


def test_the_checksum_of_a_published_text():
    """RFC 3720, B.4: 32 bytes of zeros have the CRC-32C 8A9136AA; TFRecord turns it by 15 bits and adds A282EAD8."""
    crc = 0x8A9136AA
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
    for function in (masked_crc32c, reference.masked_crc32c):
        assert function(np.zeros((1, 32), np.uint8)).tolist() == [masked]


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
    with pytest.raises(InputError, match=r"x\.tfrecord: its first record is no landmark sample|no multiple of"):
        open_samples(path, "landmark", 12)
    with pytest.raises(InputError, match="no multiple of"):
        open_samples(path, "part", 24)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="no multiple of"):
        open_samples(path, "part", 12)
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with pytest.raises(InputError, match="its first record is no part sample of 12 px"):
        open_samples(path, "part", 12)
