"""What folders take on a disk."""

from pathlib import Path

from models.folders import folder_bytes


def test_files_at_every_depth_count_and_links_do_not(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 1_000_000)
    folder = tmp_path / "runs"
    deep = folder
    for _ in range(300):
        deep /= "a"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x" * 100_000)
    (folder / "link").symlink_to(outside)
    assert 100_000 <= folder_bytes(folder) < 1_000_000 + 300 * 4096
    (folder / "second").write_bytes(b"x" * 200_000)
    assert folder_bytes(folder) >= 300_000


def test_a_sparse_file_counts_as_what_it_takes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**30)
    assert folder_bytes(tmp_path) < 2**20


def test_a_folder_that_vanished_takes_nothing(tmp_path: Path) -> None:
    assert folder_bytes(tmp_path / "gone") == 0
