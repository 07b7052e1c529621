"""What the single formats allow, and files that were made to do harm."""

import base64
import inspect
import json
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pyarrow.parquet.encryption
import pytest
import safetensors.numpy
from carrier_cases import ARRAYS, CASES, FRAME, OTHER, PIXELS, SHOWS_FOOTERS, STAMP, chunk
from PIL import Image

from mlotel.artifacts import carriers
from mlotel.artifacts.carriers import _thrift

TEXT = STAMP.to_json().encode()
SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
REST = chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


class Counting:
    """What was ignored inside the block."""

    def __enter__(self):
        self._before = carriers.ignored()
        return self

    def __exit__(self, *_):
        self.found = {key: n - self._before.get(key, 0) for key, n in carriers.ignored().items()}
        self.found = {key: n for key, n in self.found.items() if n}


def ignored(path):
    """Why the stamp of a file was ignored."""
    with Counting() as counting:
        assert carriers.stamp_of(path) is None
    return counting.found


def quickly(function, *arguments):
    """The result, when it took neither time nor memory."""
    tracemalloc.start()
    start = time.perf_counter()
    result = function(*arguments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.perf_counter() - start < 2
    assert peak < 40_000_000
    return result


@pytest.fixture
def file(tmp_path):
    """Writes bytes, or a file of a given size with them at its start."""

    def file(name, data, size=None):
        path = tmp_path / name
        with path.open("wb") as out:
            out.write(data)
            if size is not None:
                out.truncate(size)
        return path

    return file


# Parquet


def test_parquet_footers_of_others_stay_byte_for_byte(tmp_path):
    """Stamping and replacing touches the entry only: what pyarrow reads of the footer is the same but for it."""
    path = tmp_path / "a.parquet"
    FRAME.to_parquet(path, row_group_size=2)
    before = path.read_bytes()
    carriers.embed(path, STAMP)
    after = path.read_bytes()

    start = len(before) - 8 - struct.unpack("<I", before[-8:-4])[0]
    assert after[:start] == before[:start]
    assert len(after) - len(before) < len(TEXT) + 32
    one, other = pa.parquet.read_metadata(path), pa.parquet.read_metadata(pa.BufferReader(before))
    assert one.schema.equals(other.schema)
    assert (one.created_by, one.format_version, one.num_rows) == (
        other.created_by,
        other.format_version,
        other.num_rows,
    )


def test_parquet_written_with_a_stamped_schema(tmp_path):
    """pyarrow writes the stamp with the data; embedding another one replaces it; readers see their columns only."""
    table = pa.Table.from_pandas(FRAME)
    pa.parquet.write_table(table.cast(carriers.with_stamp(table.schema, STAMP)), tmp_path / "a.parquet")

    assert carriers.stamp_of(tmp_path / "a.parquet") == (STAMP, "embedded")
    assert pd.read_parquet(tmp_path / "a.parquet").equals(FRAME)
    assert pl.read_parquet(tmp_path / "a.parquet").columns == list(FRAME.columns)
    assert carriers.embed(tmp_path / "a.parquet", OTHER)
    assert carriers.stamp_of(tmp_path / "a.parquet") == (OTHER, "embedded")
    assert pd.read_parquet(tmp_path / "a.parquet").equals(FRAME)


def test_a_stamped_schema_keeps_what_else_is_in_it():
    """The entry is added beside other metadata, and replaces an earlier stamp."""
    schema = carriers.with_stamp(pa.schema([("x", pa.int8())], {"mine": "yes"}), STAMP)
    again = carriers.with_stamp(schema, OTHER)

    assert schema.metadata == {b"mine": b"yes", b"mlotel": TEXT}
    assert again.metadata == {b"mine": b"yes", b"mlotel": OTHER.to_json().encode()}
    assert again.equals(schema)


@pytest.mark.skipif(
    "metadata" not in inspect.signature(pl.DataFrame.write_parquet).parameters, reason="this polars cannot"
)
def test_polars_writes_stamps_of_its_own(tmp_path):
    """The entry that polars writes into a footer is read like any other."""
    pl.from_pandas(FRAME).write_parquet(tmp_path / "a.parquet", metadata={"mlotel": STAMP.to_json(), "mine": "yes"})

    assert carriers.stamp_of(tmp_path / "a.parquet") == (STAMP, "embedded")
    assert carriers.embed(tmp_path / "a.parquet", OTHER)
    assert pl.read_parquet_metadata(tmp_path / "a.parquet")["mine"] == "yes"
    assert pl.read_parquet_metadata(tmp_path / "a.parquet")["mlotel"] == OTHER.to_json()


def test_parquet_of_more_than_fourteen_entries(tmp_path):
    """Long lists are encoded in another way, and are understood."""
    metadata = {f"key {n}": "v" * n * 20 for n in range(40)}
    pa.parquet.write_table(pa.table({"x": [1]}).replace_schema_metadata(metadata), tmp_path / "a.parquet")

    assert carriers.embed(tmp_path / "a.parquet", STAMP)
    found = pa.parquet.read_metadata(tmp_path / "a.parquet").metadata
    assert {key.decode(): value.decode() for key, value in found.items() if key.startswith(b"key")} == metadata
    assert carriers.stamp_of(tmp_path / "a.parquet") == (STAMP, "embedded")


def parquet(footer, length=None):
    return b"PAR1" + footer + struct.pack("<I", len(footer) if length is None else length) + b"PAR1"


def entry(key=b"mlotel", value=TEXT):
    return _thrift.struct_of([(1, 8, _thrift.to_binary(key)), (2, 8, _thrift.to_binary(value))])


def footer(*entries, more=()):
    return _thrift.struct_of([(1, 5, b"\x02"), (5, 9, _thrift.to_list(12, list(entries))), *more])


def test_parquet_by_hand(file):
    """The last of several entries counts, as it does for pyarrow; others do not."""
    assert carriers.stamp_of(file("a.parquet", parquet(footer(entry())))) == (STAMP, "embedded")
    two = footer(entry(), entry(b"mlotel", OTHER.to_json().encode()), entry(b"mine", b"x"))
    assert carriers.stamp_of(file("a.parquet", parquet(two))) == (OTHER, "embedded")
    assert carriers.stamp_of(file("a.parquet", parquet(footer(entry(b"mlotel2"))))) is None


def test_parquet_that_is_signed_or_encrypted(file):
    """A signed footer is not changed, and an encrypted one is not even looked at."""
    for path in (
        file("a.parquet", parquet(footer(entry(), more=[(8, 12, b"\0")]))),
        file("b.parquet", parquet(footer(entry(), more=[(9, 8, b"\x01k")]))),
        file("c.parquet", parquet(footer(entry()) + b"s" * 28)),
        file("d.parquet", parquet(footer(entry())).replace(b"PAR1", b"PARE")),
    ):
        before = path.read_bytes()
        assert carriers.embed(path, OTHER) is False
        assert path.read_bytes() == before


class Keys(pyarrow.parquet.encryption.KmsClient):
    """Keys that are wrapped in nothing but base64."""

    def wrap_key(self, key_bytes, master_key_identifier):
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key, master_key_identifier):
        return base64.b64decode(wrapped_key)


@pytest.mark.parametrize("is_plain", [True, False])
def test_parquet_that_pyarrow_encrypts(tmp_path, is_plain):
    """pyarrow's own encrypted files are left alone; a footer in plain text can be read for a stamp all the same."""
    encryption = pyarrow.parquet.encryption
    connection = encryption.KmsConnectionConfig()
    properties = encryption.CryptoFactory(lambda _: Keys()).file_encryption_properties(
        connection,
        encryption.EncryptionConfiguration(footer_key="f", column_keys={"k": ["x"]}, plaintext_footer=is_plain),
    )
    table = pa.table({"x": [1, 2], "y": [3, 4]})
    schema = carriers.with_stamp(table.schema, STAMP)
    path = tmp_path / "a.parquet"
    with pa.parquet.ParquetWriter(path, schema, encryption_properties=properties) as out:
        out.write_table(table.cast(schema))
    before = path.read_bytes()

    assert carriers.stamp_of(path) == ((STAMP, "embedded") if is_plain else None)
    assert carriers.embed(path, OTHER) is False
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "data",
    [
        parquet(b"\x18\x06mlotel", length=1000),  # longer than the file
        parquet(footer(entry())[:-40]),
        parquet(b"\x18\x06mlotel" + b"\x1c" * 200_000),  # a struct in a struct in a struct
        parquet(b"\x18\x06mlotel" + b"\x19\x19" * 100_000),  # lists in lists
        parquet(b"\x19\xf8\xff\xff\xff\xff\x0f\x18\x06mlotel"),  # four billion strings
        parquet(b"\x19\xf1\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x18\x06mlotel"),  # 2^63 booleans
        parquet(b"\x18\x06mlotel\x16" + b"\xff" * 500_000),  # a number without end
        parquet(b"\x18\x06mlotel\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),  # a string of 2^64
        parquet(b"\x18\x06mlotel\x1f"),  # a kind that there is not
        parquet(_thrift.struct_of([(5, 12, entry())])),  # metadata that are no list
        parquet(_thrift.struct_of([(5, 9, _thrift.to_list(8, [_thrift.to_binary(b"\x18\x06mlotel")]))])),
        parquet(_thrift.struct_of([(5, 9, _thrift.to_list(12, [_thrift.struct_of([(2, 8, b"\x08\x18\x06mlotel")])]))])),
    ],
)
def test_parquet_footers_that_make_no_sense(file, data):
    """Each of them is ignored and counted, in no time, and left as it is."""
    path = file("a.parquet", data)

    assert quickly(ignored, path) == {("parquet", "corrupt"): 1}
    assert quickly(carriers.embed, path, STAMP) is False
    assert path.read_bytes() == data


def test_a_column_that_contains_a_stamp_is_no_stamp(tmp_path):
    """Statistics hold values of the data: bytes that look like an entry there are none."""
    fake = b"\x18\x06mlotel\x18" + _thrift.to_binary(TEXT) + b"\0"
    pa.parquet.write_table(pa.table({"x": pa.array([fake], pa.binary())}), tmp_path / "a.parquet")

    assert fake in (tmp_path / "a.parquet").read_bytes()
    assert ignored(tmp_path / "a.parquet") == {}


# Entries that are no stamps, in every format


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "corrupt"),
        (b"\xff\xfe", "corrupt"),
        (b"[" * 3000, "corrupt"),
        (b"{}", "foreign"),
        (b"null", "foreign"),
        (TEXT.replace(b"00-4bf9", b"00-4BF9"), "foreign"),
        (TEXT.replace(b'"version":1', b'"version":9'), "version"),
        (b" " * 4097, "too_large"),
        (TEXT + b" " * 100_000, "too_large"),
    ],
)
def test_entries_that_are_no_stamps(file, value, reason):
    """The same entries are ignored for the same reasons wherever they stand."""
    assert ignored(file("a.parquet", parquet(footer(entry(value=value))))) == {("parquet", reason): 1}
    schema = pa.schema([("x", pa.int8())], {b"mlotel": value})
    path = file("a.arrow", b"")
    pa.ipc.new_file(path, schema).close()
    assert ignored(path) == {("arrow", reason): 1}
    if len(value) < 5000:
        assert ignored(file("a.png", SIGNATURE + HEADER + chunk(b"tEXt", b"mlotel\0" + value) + REST)) == {
            ("png", reason): 1
        }
        assert ignored(file("a.onnx", onnx(value))) == {("onnx", reason): 1}
    if not value.startswith(b"\xff"):  # JSON in JSON is text
        assert ignored(file("a.safetensors", tensors({"__metadata__": {"mlotel": value.decode()}}))) == {
            ("safetensors", reason): 1
        }
    path = file("a.csv", b"x\n1\n")
    file("a.csv.mlotel.json", value)
    assert ignored(path) == {("sidecar", reason): 1}


# Arrow


def test_arrow_streams(tmp_path):
    """A stream has its stamp in the schema, where pyarrow puts it; it cannot get one afterwards."""
    table = pa.table({"x": [1, 2]})
    schema = carriers.with_stamp(table.schema, STAMP)
    path = tmp_path / "a.arrows"
    with pa.ipc.new_stream(path, schema) as out:
        out.write_table(table.cast(schema))
    path_of_datasets = path.rename(tmp_path / "b.arrow")  # what the library datasets calls its streams
    before = path_of_datasets.read_bytes()

    assert carriers.stamp_of(path_of_datasets) == (STAMP, "embedded")
    assert carriers.embed(path_of_datasets, OTHER) is False
    assert path_of_datasets.read_bytes() == before


def test_arrow_footers_come_before_schemas(tmp_path):
    """A stamp that was embedded afterwards replaces the one that the file was written with."""
    table = pa.table({"x": [1, 2]})
    schema = carriers.with_stamp(table.schema, OTHER)
    with pa.ipc.new_file(tmp_path / "a.arrow", schema) as out:
        out.write_table(table.cast(schema))

    assert carriers.stamp_of(tmp_path / "a.arrow") == (OTHER, "embedded")
    assert carriers.embed(tmp_path / "a.arrow", STAMP)
    assert carriers.stamp_of(tmp_path / "a.arrow") == (STAMP, "embedded")


@pytest.mark.skipif(not SHOWS_FOOTERS, reason="this pyarrow cannot write them")
def test_arrow_footers_keep_their_own_metadata(tmp_path):
    """Entries that somebody else has in the footer stay readable, also when stamps come and go."""
    schema = pa.schema([("x", pa.int8())])
    with pa.ipc.new_file(tmp_path / "a.arrow", schema, metadata={"mine": "yes", "mlotel": "old"}) as out:
        out.write_batch(pa.record_batch([pa.array([1], pa.int8())], schema))
    assert ignored(tmp_path / "a.arrow") == {("arrow", "corrupt"): 1}

    for stamp in (STAMP, OTHER, STAMP):
        assert carriers.embed(tmp_path / "a.arrow", stamp)
        found = pa.ipc.open_file(tmp_path / "a.arrow").metadata
        assert dict(found) == {b"mine": b"yes", b"mlotel": stamp.to_json().encode()}
    assert pa.feather.read_table(tmp_path / "a.arrow").to_pydict() == {"x": [1]}


def test_arrow_tables_do_not_carry_a_stamp_along(tmp_path):
    """Who reads a stamped file and writes the table elsewhere does not claim that its producer wrote that too."""
    FRAME.to_feather(tmp_path / "a.feather")
    carriers.embed(tmp_path / "a.feather", STAMP)
    pa.feather.write_feather(pa.feather.read_table(tmp_path / "a.feather"), tmp_path / "b.feather")

    assert carriers.stamp_of(tmp_path / "b.feather") is None


def test_mapped_arrow_files_keep_their_alignment(tmp_path):
    """A stamped file is mapped into memory without a copy, as before."""
    pa.feather.write_feather(pa.table({"x": np.arange(1000.0)}), tmp_path / "a.feather", compression="uncompressed")
    carriers.embed(tmp_path / "a.feather", STAMP)

    allocated = pa.total_allocated_bytes()
    table = pa.ipc.open_file(pa.memory_map(str(tmp_path / "a.feather"))).read_all()
    assert pa.total_allocated_bytes() - allocated < 4000
    assert table["x"].chunk(0).buffers()[1].address % 8 == 0


@pytest.mark.parametrize("length", [0, 3, 100, 2**31 - 1, 2**32 - 1])
@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"\x01\0\0\0", b"mlotel"])
def test_arrow_footers_that_make_no_sense(file, length, filling):
    """Offsets that lead nowhere, in circles or beyond the end are ignored, and the file is left as it is."""
    body = (filling * 200)[:600] + b"mlotel"
    data = b"ARROW1\0\0" + body + struct.pack("<I", length) + b"ARROW1"
    path = file("a.arrow", data)

    assert set(quickly(ignored, path)) <= {("arrow", "corrupt")}
    quickly(carriers.embed, path, STAMP)
    stream = file("b.arrow", b"\xff\xff\xff\xff" + struct.pack("<I", length) + body)
    assert set(quickly(ignored, stream)) <= {("arrow", "corrupt")}


def test_the_first_version_of_feather(file):
    """Its files have no such metadata."""
    path = file("a.feather", b"FEA1" + b"\0" * 40 + b"FEA1")

    assert ignored(path) == {}
    assert carriers.embed(path, STAMP) is False


# safetensors


def tensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_tensors_are_never_read(file):
    """A model of a terabyte is looked at in no time."""
    size = 1 << 40
    header = {
        "w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]},
        "__metadata__": {"mlotel": TEXT.decode()},
    }
    path = file("a.safetensors", tensors(header), size=size)

    assert quickly(carriers.stamp_of, path) == (STAMP, "embedded")


@pytest.mark.parametrize("declared", [1 << 30, 1 << 31, 1 << 62, (1 << 64) - 1])
def test_headers_that_claim_to_be_huge(file, declared):
    """A header of a gigabyte is not read, whether the file has it or not."""
    data = struct.pack("<Q", declared) + b'{"mlotel"'

    assert quickly(ignored, file("a.safetensors", data)) == {}
    assert quickly(ignored, file("b.safetensors", data, size=2 << 30)) == {}
    assert quickly(carriers.embed, file("c.safetensors", data, size=2 << 30), STAMP) is False


@pytest.mark.parametrize(
    "header",
    [
        b'{"mlotel":' + b"[" * 1_000_000,
        b'{"mlotel"' * 1000,
        b'{"mlotel":1,"mlotel":2}',
        b'{"__metadata__":["mlotel"]}',
        b'{"__metadata__":{"mlotel":5}}',
        b'{"__metadata__":{"mlotel":{"version":1}}}',
        b'{"__metadata__":{"mlotel":"x","other":null}}',
        b'{"\xff":"mlotel"}"mlotel"',
        b'{"mlotel"',
    ],
)
def test_headers_that_make_no_sense(file, header):
    """Each of them is ignored and counted, and left as it is."""
    path = file("a.safetensors", tensors(header))

    assert quickly(ignored, path) == {("safetensors", "corrupt"): 1}
    assert quickly(carriers.embed, path, STAMP) is False
    assert path.read_bytes() == tensors(header)


def test_empty_models_and_alignment(tmp_path):
    """A file without tensors can be stamped, and the tensors of any other one stay at a multiple of eight."""
    for arrays in ({}, ARRAYS):
        path = tmp_path / f"{len(arrays)}.safetensors"
        safetensors.numpy.save_file(arrays, path)
        assert carriers.embed(path, STAMP)
        assert struct.unpack("<Q", path.read_bytes()[:8])[0] % 8 == 0
        assert set(safetensors.numpy.load_file(path)) == set(arrays)


# ONNX


def onnx(value, graph=b""):
    def field(number, data):
        return bytes([number << 3 | 2]) + _thrift.to_varint(len(data)) + data

    return b"\x08\x08" + field(7, graph) + field(14, field(1, b"mlotel") + field(2, value))


def test_weights_are_never_read(file):
    """A model of a gigabyte is looked at in no time."""
    size = 1 << 30
    head = b"\x08\x08\x3a" + _thrift.to_varint(size)
    path = file("a.onnx", head, size=len(head) + size)
    with path.open("ab") as out:
        out.write(onnx(TEXT)[4:])

    assert quickly(carriers.stamp_of, path) == (STAMP, "embedded")


@pytest.mark.parametrize(
    "data",
    [
        b"\x3a\xff\xff\xff\xff\x7f",  # a graph of 34 GB
        b"\x08" + b"\xff" * 100,  # a number without end
        b"\x0b" * 10,  # groups, which went out of use
        b"\x00\x00",
        onnx(b"x")[:-1],
        b"\x08\x08\x72\x09\x0a\x06mlotel\x08",  # a value that is a number
        b"\x08\x01" * 150_000,
    ],
)
def test_models_that_make_no_sense(file, data):
    """Each of them is ignored and counted, and left as it is."""
    path = file("a.onnx", data)

    assert quickly(ignored, path) == {("onnx", "corrupt"): 1}
    assert quickly(carriers.embed, path, STAMP) is False
    assert path.read_bytes() == data


def test_other_protobuf_messages(file):
    """A message without a graph is no model: it is left alone."""
    path = file("a.onnx", b"\x08\x08\x12\x03abc")

    assert ignored(path) == {}
    assert carriers.embed(path, STAMP) is False


# PNG


def test_png_chunks_by_hand(file):
    """Both kinds of plain text are read, wherever they stand before the pixels."""
    international = b"mlotel\0\0\0\0\0" + TEXT
    for body in (chunk(b"tEXt", b"mlotel\0" + TEXT), chunk(b"iTXt", international), chunk(b"gAMA", b"\0\0\0\1") * 3):
        data = SIGNATURE + HEADER + chunk(b"tEXt", b"mlotel2\0x") + body + REST
        expected = None if b"gAMA" in body else (STAMP, "embedded")
        assert carriers.stamp_of(file("a.png", data)) == expected
    assert carriers.stamp_of(file("a.png", SIGNATURE + HEADER + REST + chunk(b"tEXt", b"mlotel\0" + TEXT))) is None


def test_png_compressed_texts_are_not_opened(file):
    """A text that unpacks to gigabytes is left packed."""
    bomb = zlib.compress(b" " * 10_000_000)
    body = chunk(b"iTXt", b"mlotel\0\1\0\0\0" + bomb[:4000]) + chunk(b"zTXt", b"mlotel\0\0" + bomb)

    assert quickly(ignored, file("a.png", SIGNATURE + HEADER + body + REST)) == {}


def test_png_wrong_checksums(file):
    """A stamp whose checksum is wrong is corrupt; another chunk's checksum is not our business."""
    path = file("a.png", SIGNATURE + HEADER + chunk(b"tEXt", b"mlotel\0" + TEXT, checksum=5) + REST)
    assert ignored(path) == {("png", "corrupt"): 1}
    assert carriers.embed(path, OTHER)
    assert carriers.stamp_of(path) == (OTHER, "embedded")
    with Image.open(path) as image:
        assert image.getpixel((0, 0)) == 0

    other = chunk(b"tEXt", b"mine\0x", checksum=5) + chunk(b"tEXt", b"mlotel\0" + TEXT)
    assert carriers.stamp_of(file("b.png", SIGNATURE + HEADER + other + REST)) == (STAMP, "embedded")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (struct.pack(">I", 2**31 - 1) + b"tEXtmlotel\0", "corrupt"),
        (struct.pack(">I", 2**32 - 1) + b"tEXtmlotel\0", "corrupt"),
        (chunk(b"tEXt", b"mlotel\0" + b"{" * 1_000_000) + REST, "too_large"),
        (chunk(b"tEXt", b"") * 5000, "corrupt"),
        (b"\0" * 3, "corrupt"),
    ],
)
def test_png_chunks_that_make_no_sense(file, body, reason):
    """Each of them is ignored and counted."""
    assert quickly(ignored, file("a.png", SIGNATURE + HEADER + body)) == {("png", reason): 1}


def test_animated_and_palette_images(tmp_path):
    """Images with chunks that must stand in an order show the same pixels after stamping."""
    frames = [Image.fromarray(np.roll(PIXELS, n, 0)) for n in range(3)]
    frames[0].save(tmp_path / "animated.png", save_all=True, append_images=frames[1:])
    frames[0].convert("P").save(tmp_path / "palette.png", transparency=0)
    for name in ("animated.png", "palette.png"):
        with Image.open(tmp_path / name) as image:
            before = [image.seek(n) or image.convert("RGBA").tobytes() for n in range(getattr(image, "n_frames", 1))]
        assert carriers.embed(tmp_path / name, STAMP)
        with Image.open(tmp_path / name) as image:
            after = [image.seek(n) or image.convert("RGBA").tobytes() for n in range(getattr(image, "n_frames", 1))]
        assert after == before


def test_the_cases_cover_the_files_here():
    """The formats that were attacked above are all there are."""
    assert {case.format for case in CASES} == {"parquet", "arrow", "safetensors", "onnx", "png"}
