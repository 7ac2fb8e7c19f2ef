"""What SOURCE may be, and which images it has: each once, by its full path."""

import os
import tarfile

import pytest
from bulk_data import encoded, folder_of, link, pa, parquet_of, shard_of
from stand_in import picture

from manyfaces.bulk.sources.find import find_source
from manyfaces.bulk.sources.items import items_of
from manyfaces.errors import InputError

PNG = encoded(picture(40, 30))


def paths(source, **options):
    return find_source(str(source), **options).table["path"].to_pylist()


def refused(source, **options):
    with pytest.raises(InputError) as error:
        find_source(str(source), **options)
    return str(error.value)


def test_a_folder_with_links(tmp_path):
    folder_of(tmp_path / "photos", 4)
    folder_of(tmp_path / "others", 1)
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "others")
    (tmp_path / "photos" / "e0" / "back").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "._hidden.png").write_bytes(b"x")
    (tmp_path / "photos" / "raw.heic").write_bytes(b"x")
    top = f"{tmp_path}/photos"
    assert paths(top + "/") == [f"{top}/{name}" for name in
                                ("e0/000.png", "e0/003.png", "e1/001.png", "e2/002.png", "linked/e0/000.png",
                                 "raw.heic")]


def test_ids_are_full_paths_wherever_the_command_runs(tmp_path, monkeypatch):
    folder_of(tmp_path / "photos", 2)
    monkeypatch.chdir(tmp_path)
    assert paths("photos") == paths(tmp_path / "photos") == paths("photos/../photos/")


def test_a_name_that_is_no_utf8_is_written_with_escapes_and_can_be_opened(tmp_path):
    os.makedirs(tmp_path / "p")
    with open(os.fsencode(tmp_path) + b"/p/caf\xe9.png", "wb") as file:
        file.write(PNG)
    item, = items_of(find_source(str(tmp_path / "p")).table)
    assert item.path == f"{tmp_path}/p/caf\\xe9.png" and os.path.isfile(item.file)


def test_names_that_are_written_alike_are_refused(tmp_path):
    os.makedirs(tmp_path / "p")
    for name in (b"caf\xe9.png", b"caf\\xe9.png"):
        with open(os.fsencode(tmp_path) + b"/p/" + name, "wb") as file:
            file.write(PNG)
    assert "names 1 images as others" in refused(tmp_path / "p")


def test_a_list_with_its_own_folder_and_another(tmp_path):
    folder_of(tmp_path / "photos", 3)
    lines = "e0/000.png\n./e1/001.png\te\n" + f"{tmp_path}/photos/e0/000.png\nmissing.png\n"
    (tmp_path / "photos" / "list.txt").write_text(lines)
    (tmp_path / "other.txt").write_text(lines)
    expected = [f"{tmp_path}/photos/{name}" for name in ("e0/000.png", "e1/001.png", "missing.png")]
    assert paths(tmp_path / "photos" / "list.txt") == expected
    source = find_source(str(tmp_path / "other.txt"), root=str(tmp_path / "photos"))
    assert source.table["path"].to_pylist() == expected and "names 1 images again" in source.notes[0]
    (tmp_path / "wrong.txt").write_text("a.png\n")
    assert f"would be {tmp_path}/a.png; with --root DIR" in refused(tmp_path / "wrong.txt")


def test_what_is_no_source_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "x.tar.gz").write_bytes(b"x")
    assert "no such file or folder; expected a folder" in refused(tmp_path / "none")
    assert "nothing matches it" in refused(f"{tmp_path}/*.tar")
    assert "holds no image, no .tar and no .parquet" in refused(tmp_path / "empty")
    assert "the file is empty" in refused(tmp_path / "empty.txt")
    assert "is compressed" in refused(tmp_path / "x.tar.gz")
    folder_of(tmp_path / "photos", 1)
    assert "--path-column are for Parquet" in refused(tmp_path / "photos", path_column="a")
    assert "--root is for" in refused(tmp_path / "photos", root="/")
    assert "neither pyarrow nor fsspec" in refused("nosuch://host/a") or "pip install fsspec" in refused("nosuch://h/a")


def test_shards(tmp_path):
    members = [("a/1.jpg", PNG), ("a/1.json", b"{}"), ("a/._1.jpg", b"x"), ("./2.PNG", PNG), ("a/1.jpg", PNG + b"2"),
               link("3.png", "a/1.jpg"), link("a/4.png", "../2.PNG"), link("5.png", "./2.PNG", tarfile.LNKTYPE),
               link("6.png", "none.png")]
    shard_of(tmp_path / "s-01.tar", members)
    shard_of(tmp_path / "s-02.tar", [("1.jpg", PNG)])
    found = find_source(str(tmp_path))
    items = {item.path.removeprefix(f"{tmp_path}/"): item for item in items_of(found.table)}
    assert list(items) == ["s-01.tar/a/1.jpg", "s-01.tar/2.PNG", "s-01.tar/3.png", "s-01.tar/a/4.png",
                           "s-01.tar/5.png", "s-01.tar/6.png", "s-02.tar/1.jpg"]
    assert "names 1 members again" in found.notes[0]
    raw = (tmp_path / "s-01.tar").read_bytes()
    for name, data in (("a/1.jpg", PNG + b"2"), ("2.PNG", PNG), ("3.png", PNG + b"2"), ("a/4.png", PNG),
                       ("5.png", PNG)):
        item = items[f"s-01.tar/{name}"]
        assert raw[item.at : item.at + item.size] == data and item.error is None
    assert "a link to no earlier member" in items["s-01.tar/6.png"].error
    assert paths(f"{tmp_path}/s-*.tar") == paths(f"{tmp_path}/s-{{01..02}}.tar") == found.table["path"].to_pylist()


def test_a_shard_that_is_cut_short_keeps_what_is_whole(tmp_path):
    path = shard_of(tmp_path / "s.tar", [(f"{n}.png", PNG) for n in range(3)])
    first = path.read_bytes().index(PNG)
    path.write_bytes(path.read_bytes()[: first + 2 * (512 + -(-len(PNG) // 512) * 512) + len(PNG) - 10])
    shard_of(tmp_path / "t.tar", [("1.png", PNG)])
    (tmp_path / "u.tar").write_bytes(b"no tar file at all" * 100)
    items = {item.path.removeprefix(f"{tmp_path}/"): item.error for item in items_of(find_source(str(tmp_path)).table)}
    assert items["s.tar/0.png"] is items["s.tar/1.png"] is items["t.tar/1.png"] is None
    assert "cut short" in items["s.tar/2.png"] and "cannot be read as a tar file" in items["u.tar"]


def test_parquet_of_paths(tmp_path):
    path = parquet_of(tmp_path / "a.parquet", {"n": [1, 2, 3, 4], "file_name": ["x/1.jpg", None, "/2.jpg", "x/1.jpg"]})
    source = find_source(str(path))
    assert source.kind == "files" and source.image_column is None and "names 1 images again" in source.notes[0]
    assert source.table["path"].to_pylist() == [f"{tmp_path}/x/1.jpg", f"{path}/1", "/2.jpg"]
    assert paths(path, root="/photos")[0] == "/photos/x/1.jpg"
    assert [item.error for item in items_of(source.table)][1] == f"{path}/1: the column file_name is empty there"


def test_parquet_of_bytes(tmp_path):
    plain = parquet_of(tmp_path / "a.parquet", {"jpg": [PNG, None], "label": [1, 2]})
    hub = parquet_of(tmp_path / "b.parquet", {"image": pa.array([{"bytes": PNG, "path": "1.png"}] * 11)})
    named = parquet_of(tmp_path / "c.parquet", {"path": ["a.jpg", "b.jpg"], "content": [PNG, PNG]})
    assert paths(plain) == [f"{plain}/0", f"{plain}/1"]
    assert paths(hub)[:2] == [f"{hub}/00", f"{hub}/01"] and find_source(str(hub)).image_column == "image"
    assert paths(named) == ["a.jpg", "b.jpg"] and paths(named, path_column="") == [f"{named}/0", f"{named}/1"]


def test_names_of_rows_that_are_not_unique_are_refused(tmp_path):
    """A shortened name once made 80 rows of 200 the same image without a word."""
    path = parquet_of(tmp_path / "c.parquet", {"path": ["a.jpg", "b.jpg", "a.jpg"], "content": [PNG] * 3})
    assert "names 1 images as others, the first is 'a.jpg'" in refused(path) and "--path-column" in refused(path)


def test_columns_that_are_not_clear_are_refused(tmp_path):
    two = parquet_of(tmp_path / "a.parquet", {"left": [PNG], "right": [PNG]})
    none = parquet_of(tmp_path / "b.parquet", {"one": ["a"], "two": ["b"]})
    assert "may be left or right; give --image-column" in refused(two)
    assert paths(two, image_column="right") == [f"{two}/0"]
    assert "no clear one of paths" in refused(none) and paths(none, path_column="two") == [f"{tmp_path}/b"]
    assert "--image-column three: expected one of left, right" in refused(two, image_column="three")


def test_a_parquet_file_that_cannot_be_read_is_one_row(tmp_path):
    parquet_of(tmp_path / "a.parquet", {"jpg": [PNG]})
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    items = list(items_of(find_source(str(tmp_path)).table))
    assert len(items) == 2 and "cannot be read as a Parquet file" in items[1].error
    (tmp_path / "a.parquet").unlink()
    assert "cannot be read as a Parquet file" in refused(tmp_path)


def test_an_address_is_read_by_pyarrow(tmp_path):
    folder_of(tmp_path / "photos", 3)
    (tmp_path / "photos" / ".hidden.png").write_bytes(b"x")
    address = f"file://{tmp_path}/photos"
    assert paths(address) == [f"{address}/{name}" for name in ("e0/000.png", "e1/001.png", "e2/002.png")]
    shard_of(tmp_path / "s.tar", [("1.png", PNG)])
    parquet_of(tmp_path / "a.parquet", {"jpg": [PNG], "n": [2]})
    assert paths(f"file://{tmp_path}/s.tar") == [f"file://{tmp_path}/s.tar/1.png"]
    assert paths(f"file://{tmp_path}/a.parquet") == [f"file://{tmp_path}/a.parquet/0"]
