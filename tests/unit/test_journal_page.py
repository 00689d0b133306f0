"""`docs/journal.md` is held to the code: offsets, kinds and bounds."""

import re
import struct
from pathlib import Path

import pytest

from firmware.adapters import epoch, journal, journal_alarms, journal_events, ring_files, ring_format
from firmware.adapters.ring_format import Draft, Flag, Kind, encode

PAGE = (Path(__file__).parents[2] / "docs" / "journal.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
FIELDS = {row[2]: (int(row[0]), int(row[1])) for row in ROWS if len(row) == 4 and row[0].isdigit() and row[1].isdigit()}


def field(data, name):
    offset, size = FIELDS[name]
    return int.from_bytes(data[offset : offset + size], "little")


def test_every_field_lies_where_the_page_says():
    data = encode(Draft(Kind.MARK, (11, 12), b"body", Flag.TELLS_GAP), 13, 14, 15, first=True)
    assert data[4:6] == bytes.fromhex("FE C1")
    found = {name: field(data, name) for name in FIELDS if name not in ("crc", "magic")}
    assert found == {
        "kind": 3, "flags": 3, "length": 4, "ordinal": 13, "serial": 14, "epoch": 15, "key epoch": 11, "key seq": 12,
    }  # fmt: skip
    assert max(offset + size for offset, size in FIELDS.values()) == ring_format.HEADER_SIZE


def test_every_kind_is_numbered_as_on_the_page():
    (listed,) = [row[3] for row in ROWS if len(row) == 4 and row[2] == "kind"]
    assert listed == ", ".join(f"{kind.value} {kind.name.lower()}" for kind in Kind)
    described = [row[0] for row in ROWS if row[0].upper() in Kind.__members__]
    assert described == [kind.name.lower() for kind in Kind]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (r"never more than (\w+)", {"four": ring_files.BAD_KEPT}),
        (r"`alarms-(\d+)xSIZE", journal_alarms.ALARM_SEGMENTS),
        (r"`events-(\d+)xSIZE", journal_events.EVENT_SEGMENTS),
        (r"at most (\d+) KiB and an eighth", ring_format.PAYLOAD_MAX // 1024),
        (r"(\d+) KiB and half a segment", ring_format.WRITE_MAX // 1024),
        (r"at 0 and at (\d+)", epoch._STRIDE),
        (r"every (\d+) s; then `Stored`", int(journal.RETRY_S)),
        (r"notices within (\d+) s", int(journal.CHECK_S)),
        (r"and (\d+) events", journal_events._QUEUE_MAX),
        (r"oldest (\d+) at once", journal_events._QUEUE_DROP),
        (r"memory keeps (\d+) alarms", journal_alarms._UNSAVED_MAX),
        (r"highest \+ (\d+):", epoch._TAIL_MARGIN + 1),
    ],
)
def test_every_number_on_the_page_is_the_codes(words, value):
    match = re.search(words, PAGE)
    assert match, words
    said = match[1]
    assert (value[said] == 4) if isinstance(value, dict) else int(said) == value


def test_the_slots_are_as_the_page_says():
    assert epoch._SLOT.size == 4 + 4 + 8
    assert struct.unpack_from("<I4sQ", epoch._SLOT.pack(1, epoch._MAGIC, 2)) == (1, b"GBep", 2)
