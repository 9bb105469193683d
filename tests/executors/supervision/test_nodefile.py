"""What supervisors are told."""

from __future__ import annotations

import msgspec
import pytest

from parsl_diaspora.executors.supervision.nodefile import NodeFile, read_node_file, write_node_file


def test_the_file_is_read_as_it_was_written_and_for_this_user_only(tmp_path):
    told = NodeFile(run="r", executor="cpu", url="file:/x", submit_pid=7)
    write_node_file(tmp_path / "node.json", told)
    assert read_node_file((tmp_path / "node.json").read_bytes()) == told
    assert (tmp_path / "node.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["node.json"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"run": 7, "executor": "cpu"}', b'{"run": "r"}'])
def test_what_is_no_such_file_is_refused(data):
    with pytest.raises(msgspec.DecodeError):
        read_node_file(data)
