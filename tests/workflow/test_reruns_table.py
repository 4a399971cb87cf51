"""The table of docs/reruns.md is what dry runs say."""

from reruns import HEADING, PAGE, table


def test_the_table_of_reruns_is_right_for_every_key():
    written = PAGE.read_text(encoding="utf-8").split(HEADING)[1]
    assert table() == written, "make reruns writes it again"
