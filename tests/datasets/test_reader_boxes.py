"""Boxes are compared with the size of their image, which all files must agree on."""

import pytest
from label_files import as_coco, as_retinaface, as_ssh, as_voc, as_wider, image, read, text, xml

from manyfaces.datasets import READERS, statistics, statistics_table
from manyfaces.errors import InputError

BOXES = {"inside": (10, 10, 90, 70), "to the border": (0, 0, 100, 80), "one px out": (-1, 0, 101, 81),
         "a quarter out": (-10, 0, 30, 80), "mostly out": (90, 0, 120, 80), "far out": (300, 10, 340, 50),
         "beside": (-40, 0, 0, 80), "larger": (-100, -100, 300, 300)}

WRITERS = {"wider": as_wider, "retinaface": as_retinaface, "ssh": as_ssh, "voc": as_voc, "coco": as_coco}


@pytest.mark.parametrize("form", WRITERS)
def test_boxes_are_held_against_their_image(form, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    WRITERS[form](tmp_path, list(BOXES.values()))
    roidb = read(form, tmp_path)
    kept = [box for name, box in BOXES.items() if name not in ("far out", "beside")]
    assert roidb.records[0].boxes.tolist() == [list(box) for box in kept]
    assert roidb.records[0].ignore.tolist() == [False] * 4 + [True] * 2
    assert roidb.dropped == {"faces outside their image": 2}
    found = statistics(roidb)
    assert found["partly outside"] == 1 and found["annotated"] == 8
    assert found["ignored by reason"] == {"mostly outside their image": 2}
    table = statistics_table(roidb)
    assert "faces outside their image" in table and "partly          1   faces leave their image" in table
    assert "300 10 340 50 (x1 y1 x2 y2) is mostly outside a.jpg, which has 100 x 80 px" in table
    assert "1 of 1 images with faces have such ones: the annotation may belong to images of another size" in table


def test_the_first_three_images_with_faces_outside_are_named(tmp_path):
    names = [f"{n}.jpg" for n in range(9)]
    for name in names:
        image(tmp_path / "images" / name)
    text(tmp_path / "labels", "".join(f"{name}\n1\n{500 if n % 2 else 5} 5 20 20\n" for n, name in enumerate(names)))
    notes = read("wider", tmp_path).notes
    assert [note.split("mostly outside ")[1].split(",")[0] for note in notes] == ["1.jpg", "3.jpg", "5.jpg"]


def test_boxes_of_images_that_were_turned_are_recognised(tmp_path):
    image(tmp_path / "images" / "a.jpg", 100, 400)
    as_wider(tmp_path, [(300, 20, 380, 90), (10, 10, 60, 60)])
    roidb = read("wider", tmp_path)
    assert roidb.dropped == {"faces outside their image": 1}
    assert roidb.notes[-1] == ("the faces of 1 of these 1 images would fit if the image were turned by 90 degrees")


def test_corners_that_were_written_for_sides_are_recognised(tmp_path):
    for name in "ab":
        image(tmp_path / "images" / f"{name}.jpg")
    text(tmp_path / "labels", "a.jpg\n2\n60 40 90 75\n10 10 30 40\nb.jpg\n1\n40 30 95 70\n")
    assert read("wider", tmp_path).notes[-1] == (
        "the faces of 2 of 2 images would fit if their numbers were x1 y1 x2 y2 and not x y width height")
    text(tmp_path / "labels", "a.jpg\n2\n60 40 35 30\n10 10 30 40\nb.jpg\n1\n40 30 55 40\n")
    assert read("wider", tmp_path).notes == []


@pytest.mark.parametrize("form", WRITERS)
def test_fractions_where_pixels_are_expected_are_refused(form, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    WRITERS[form](tmp_path, [(.1, .2, .5, .6), (0, 0, 1, 1)] if form != "ssh" else [(-.9, -.8, .5, .6)])
    with pytest.raises(InputError, match="all faces are between 0 and 1, so they seem to be fractions of the image"):
        read(form, tmp_path)


def test_a_coordinate_that_is_no_pixel_is_refused(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels", "a.jpg\n1\n1 1 1e300 5\n")
    with pytest.raises(InputError, match=r"line 1: image a.jpg has a face with the coordinate 1e\+300"):
        read("wider", tmp_path)


SIZE = "<size><width>{}</width><height>{}</height><depth>3</depth></size>"


@pytest.mark.parametrize("size", [(200, 160), (80, 100), (100, 81)])
def test_the_size_in_an_xml_must_be_that_of_the_image(size, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    image(tmp_path / "images" / "b.jpg")
    text(tmp_path / "labels" / "a.xml", xml(("face", 1, 2, 30, 40), size=SIZE.format(*size)))
    text(tmp_path / "labels" / "b.xml", xml(("face", 1, 2, 30, 40), size=SIZE.format("100", "80.0"), name="b.jpg"))
    with pytest.raises(InputError) as error:
        read("voc", tmp_path)
    assert (f"a.jpg: is 100 x 80 pixels after EXIF rotation, but {tmp_path}/labels/a.xml has width {size[0]} and "
            f"height {size[1]}") in str(error.value)
    roidb = read("voc", tmp_path, missing="skip")
    assert [record.image for record in roidb.records] == ["b.jpg"]
    assert roidb.dropped == {"images of another size than the annotation says": 1}


@pytest.mark.parametrize("size", ["", "<size/>", SIZE.format(0, 0), SIZE.format("", " "), SIZE.format(0, 80)])
def test_a_size_that_is_not_known_is_passed(size, tmp_path):
    image(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.xml", xml(("face", 1, 2, 30, 40), size=size))
    assert len(read("voc", tmp_path)) == 1


def test_an_exif_turned_image_has_its_size_as_it_is_seen(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.new("RGB", (100, 80)).save(tmp_path / "images" / "a.jpg", exif=exif)
    for size, fits in (((80, 100), True), ((100, 80), False)):
        text(tmp_path / "labels" / "a.xml", xml(("face", 1, 2, 30, 40), size=SIZE.format(*size)))
        if fits:
            assert read("voc", tmp_path).records[0].width == 80
        else:
            with pytest.raises(InputError, match="is 80 x 100 pixels after EXIF rotation, but"):
                read("voc", tmp_path)


def test_without_images_boxes_are_held_against_the_size_in_the_file(tmp_path):
    objects = ("face", 1, 2, 30, 40), ("face", 300, 2, 330, 40)
    text(tmp_path / "labels" / "a.xml", xml(*objects, size=SIZE.format(100, 80)))
    roidb = READERS["voc"](str(tmp_path / "labels"), None)
    assert roidb.records[0].width == 100 and roidb.dropped == {"faces outside their image": 1}
