import pytest

from aec_core.train.records import append_row, read_columns, write_whole


def test_a_file_is_written_whole_and_nothing_else_stays(tmp_path):
    path = tmp_path / "a.bin"
    assert write_whole(path, lambda p: p.write_bytes(b"new"))
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("disk full"), RuntimeError("unexpected pos")])
def test_a_failed_write_leaves_the_old_file_and_is_logged(tmp_path, caplog, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write(partial):
        partial.write_bytes(b"ne")
        raise error

    assert not write_whole(path, write)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert str(error) in caplog.text


def test_an_interrupt_is_not_swallowed(tmp_path):
    def write(partial):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a", write)


def test_rows_come_back_as_columns(tmp_path):
    path = tmp_path / "log.csv"
    append_row(path, {"step": 1, "loss": 2.5})
    append_row(path, {"step": 20, "loss": -0.12345})
    assert read_columns(path) == {"step": [1, 20], "loss": [2.5, -0.1235]}
    assert path.read_text().splitlines() == ["step,loss", "1,2.5", "20,-0.1235"]


def test_a_line_cut_short_is_left_out_and_no_table_is_no_columns(tmp_path):
    path = tmp_path / "log.csv"
    assert read_columns(path) == {}
    path.write_text("step,loss\n1,2\n3")
    assert read_columns(path) == {"step": [1], "loss": [2]}


def test_a_table_that_cannot_be_written_is_logged(tmp_path, caplog):
    append_row(tmp_path / "none" / "log.csv", {"step": 1})
    assert "lacks a row" in caplog.text
