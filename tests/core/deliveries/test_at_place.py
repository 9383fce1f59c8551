"""The place that a scene is given by: a folder or an archive with no other scene that can be fused."""

import zipfile

from scripts import make_deliveries
from ssdiff_core.deliveries import find_scenes
from ssdiff_core.deliveries.at_place import delivery_at, place_of


def places(folder):
    found = find_scenes([folder])
    return [(each, place_of(each, [other for other in found if other is not each])) for each in found]


def test_the_place_of_each_delivery_in_a_folder_opens_this_delivery(archive_folder):
    found = places(archive_folder)
    assert len({place for _, place in found}) == 5
    for delivery, place in found:
        opened = delivery_at(place, print)
        assert (opened.name, opened.files) == (delivery.name, delivery.files)


def test_a_scene_in_an_archive_of_several_is_given_by_its_folder_there(scene, tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for number in (1, 2):
            root = make_deliveries.airbus(tmp_path / "in", make_deliveries.make_scene(number, 64))
            for file in root.rglob("*.*"):
                archive.write(file, file.relative_to(tmp_path / "in"))
    (one, place), (two, _) = places(tmp_path / "two.zip")
    assert place == f"/vsizip/{(tmp_path / 'two.zip').as_posix()}/PHR_ORDER_001"
    assert delivery_at(place, print).files == one.files != two.files


def test_scenes_that_share_a_folder_or_are_around_another_have_no_place(scene, tmp_path):
    for name in ("a", "b"):
        for kind, image, ratio in (("pan", scene.pan, 1), ("ms", scene.ms, 4)):
            scene.write(tmp_path / f"{name}_{kind}.tif", image, ratio)
    make_deliveries.gaofen(tmp_path, scene)
    assert [place for _, place in places(tmp_path) if not place.endswith(".tar")] == ["", ""]
