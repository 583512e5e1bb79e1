"""The zip reader: what runners send is read, and everything else is refused with its reason before it is written."""

import io
import stat
import struct
import zipfile

import pytest

from jobserver.domain.releases import MANIFEST, MAX_BYTES, MAX_FILES, MAX_MANIFEST
from jobserver.errors import Code, Error
from jobserver.service.releases.archive import read
from tests.zips import GOOD, bent, link, md5_of, special, with_flags, with_size, zipped


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_read_with_its_files_and_sizes(method: int) -> None:
    archive = read(zipped(GOOD, method), md5_of(GOOD))
    assert [file.path for file in archive.files] == sorted(GOOD)
    assert {path: b"".join(archive.contents(path)) for path in GOOD} == GOOD
    assert [file.size for file in archive.files] == [len(GOOD[path]) for path in sorted(GOOD)]


@pytest.mark.parametrize(
    "files",
    [
        {MANIFEST: b"{}"},
        {MANIFEST: b"{}", "empty.csv": b""},
        {MANIFEST: b"{}", "output/żółw 1.csv": b"1"},
        {MANIFEST: b"{}", "a/b/c/d.e": b"1", "a/b/c.d": b"2", ".hidden": b"3"},
        {MANIFEST: b"{}", "zeros.bin": bytes(5_000_000)},
        {MANIFEST: b"{}", "PK.zip": zipped({"inner": b"PK\x01\x02PK\x05\x06"}, zipfile.ZIP_STORED)},
    ],
    ids=lambda files: list(files)[-1],
)
def test_a_zip_may_hold_any_well_named_files(files: dict[str, bytes]) -> None:
    assert {file.path for file in read(zipped(files), md5_of(files)).files} == set(files)


def test_entries_for_folders_are_not_files() -> None:
    """`zip -r` lists them."""
    body = zipped([("output/", b""), (special("metadata/", stat.S_IFDIR), b""), *GOOD.items()])
    assert {file.path for file in read(body, md5_of(GOOD)).files} == set(GOOD)


def test_paths_are_sorted_as_text_or_folder_by_folder() -> None:
    """Whether ``-`` comes before ``/`` depends on what is sorted: texts, or paths."""
    files = {MANIFEST: b"{}", "a-b/x": b"1", "a/x": b"2"}
    assert read(zipped(files), md5_of(files)).files
    by_folder = {"1": b"2", "2": b"1", "3": b"{}"}
    assert read(zipped(files), md5_of(by_folder)).files
    with pytest.raises(Error, match="the MD5 of the files' contents"):
        read(zipped(files), md5_of({"1": b"{}", "2": b"1", "3": b"2"}))


BAD = {
    "no zip": (b"hello", "not a readable zip"),
    "one byte": (b"P", "not a readable zip"),
    "half a zip": (zipped(GOOD)[: len(zipped(GOOD)) // 2], "not a readable zip"),
    "its end only": (zipped(GOOD)[-22:], "not a readable zip"),
    "an empty zip": (zipped({}), "metadata/manifest.json is not in the zip"),
    "no manifest": (zipped({"a.csv": b"1"}), "metadata/manifest.json is not in the zip"),
    "a manifest elsewhere": (zipped({"manifest.json": b"{}"}), "metadata/manifest.json is not in the zip"),
    "a manifest that is no JSON": (zipped({MANIFEST: b"{"}), "is not JSON: "),
    "an empty manifest": (zipped({MANIFEST: b""}), "is not JSON: "),
    "a manifest in Latin-1": (zipped({MANIFEST: b'{"a": "\xe9"}'}), "is not JSON: "),
    "a manifest nested too deep": (zipped({MANIFEST: b"[" * 100_000}), "is not JSON: "),
    "a manifest that is a list": (zipped({MANIFEST: b"[]"}), "is not a JSON object"),
    "another hash": (zipped({MANIFEST: b"{ }"}), "the MD5 of the files' contents"),
    # Where it would be written
    "a path that climbs out": (zipped({"../../evil": b"1", MANIFEST: b"{}"}), r"has an empty part, \. or \.\."),
    "one that climbs inside": (zipped({"a/../b": b"1", MANIFEST: b"{}"}), r"has an empty part, \. or \.\."),
    "an absolute path": (zipped({"/etc/passwd": b"1", MANIFEST: b"{}"}), "is not relative"),
    "a drive": (zipped({"C:evil": b"1", MANIFEST: b"{}"}), "is not relative"),
    "a path of Windows": (bent(zipped({"a?b": b"1", MANIFEST: b"{}"}), b"a?b", b"a\\b"), "is not relative"),
    "a folder that climbs out": (zipped([("../", b""), (MANIFEST, b"{}")]), "has an empty part"),
    "an empty part": (zipped({"a//b": b"1", MANIFEST: b"{}"}), "has an empty part"),
    "a NUL in a name": (bent(zipped({"a?b": b"1", MANIFEST: b"{}"}), b"a?b", b"a\0b"), "has a NUL"),
    "a new line in a name": (zipped({"a\nb": b"1", MANIFEST: b"{}"}), "cannot be printed"),
    "a name that turns text around": (zipped({"a\u202etxt.exe": b"1", MANIFEST: b"{}"}), "cannot be printed"),
    "a device of Windows": (zipped({"out/NUL.csv": b"1", MANIFEST: b"{}"}), "Windows does not allow"),
    "a name that ends in a dot": (zipped({"out./a": b"1", MANIFEST: b"{}"}), "Windows does not allow"),
    "a name too long": (zipped({"x" * 256: b"1", MANIFEST: b"{}"}), "longer than"),
    "a path too deep": (zipped({"x/" * 40 + "x": b"1", MANIFEST: b"{}"}), "deeper than"),
    # What it would be
    "a symbolic link": (zipped([(link("a"), b"/etc/passwd"), (MANIFEST, b"{}")]), "not an ordinary file"),
    "a link that is the manifest": (zipped([(link(MANIFEST), b"/etc/passwd")]), "not an ordinary file"),
    "a folder that is a link": (zipped([(link("out/"), b""), (MANIFEST, b"{}")]), "not an ordinary file"),
    "a device": (zipped([(special("a", stat.S_IFBLK), b""), (MANIFEST, b"{}")]), "not an ordinary file"),
    "a pipe": (zipped([(special("a", stat.S_IFIFO), b""), (MANIFEST, b"{}")]), "not an ordinary file"),
    # Which one it would be
    "a name twice": (zipped([("a", b"1"), ("a", b"2"), (MANIFEST, b"{}")]), "more than once"),
    "the manifest twice": (zipped([(MANIFEST, b"{}"), (MANIFEST, b"[]")]), "more than once"),
    "names that differ by case": (zipped({"A.csv": b"1", "a.csv": b"2", MANIFEST: b"{}"}), "the same file on some"),
    "and by the encoding of é": (zipped({"\u00e9": b"1", "e\u0301": b"2", MANIFEST: b"{}"}), "the same file on some"),
    "folders that differ by case": (zipped({"Out/a": b"1", "out/b": b"2", MANIFEST: b"{}"}), "are the same on some"),
    "a file that is a folder": (zipped({"a": b"1", "a/b": b"2", MANIFEST: b"{}"}), "is a file and a folder"),
    "a name in another encoding": (bent(zipped({"a?b": b"1", MANIFEST: b"{}"}), b"a?b", b"a\xe9b"), "nor marked as"),
    "a name that is no UTF-8": (
        with_flags(bent(zipped({"a?b": b"1", MANIFEST: b"{}"}), b"a?b", b"a\xffb"), 0x800), "not a readable zip",
    ),
    # What it can't be unpacked as
    "encrypted": (with_flags(zipped(GOOD), 0x1), "is encrypted"),
    "with a hidden directory": (with_flags(zipped(GOOD), 0x2000), "is encrypted"),
    "bzip2": (zipped(GOOD, zipfile.ZIP_BZIP2), "method other than deflate"),
    "LZMA, whose dictionary may be 4 GiB": (zipped(GOOD, zipfile.ZIP_LZMA), "method other than deflate"),
    "a file that is not what its sum says": (
        bent(zipped({MANIFEST: b"{}", "a": b"original"}, zipfile.ZIP_STORED), b"original", b"tampered"), "Bad CRC",
    ),
    "a manifest that is not what its sum says": (
        bent(zipped({MANIFEST: b'{"a":1}'}, zipfile.ZIP_STORED), b'"a":1', b'"a":2'), "Bad CRC",
    ),
    "deflate that is none": (
        bent(zipped({MANIFEST: b"{}", "a": b"x" * 999}), zipped({"a": b"x" * 999})[31:40], b"\xff" * 9), "be unpacked",
    ),
    # How much it would be
    "a bomb that says so": (
        with_size(with_size(zipped(GOOD), "output/table.csv", MAX_BYTES // 2), "output/plot.svg", MAX_BYTES // 2 + 1),
        "at most 268435456 are allowed",
    ),
    "a directory that says too much": (with_size(zipped(GOOD), MANIFEST, MAX_BYTES + 1), "at most 268435456"),
    "a file that is shorter than it says": (with_size(zipped(GOOD), "output/plot.svg", 7), "but the zip says 7"),
    "a bomb that says it is small": (with_size(zipped({MANIFEST: b"{}", "a": bytes(10**7)}), "a", 9), "Bad CRC"),
    # 60 KiB once made gigabytes of values
    "a manifest that says too much": (
        zipped(GOOD | {MANIFEST: b"[" + b"{}," * (MAX_MANIFEST // 3) + b"{}]"}),
        f"at most {MAX_MANIFEST} are allowed",
    ),
    "too many files": (zipped([(f"{n}", b"") for n in range(MAX_FILES + 1)]), "at most 2000 are allowed"),
}  # fmt: skip


@pytest.mark.parametrize("story", BAD)
def test_a_bad_zip_is_refused_with_its_reason(story: str) -> None:
    body, words = BAD[story]
    with pytest.raises(Error, match=words) as refused:
        read(body, "0" * 32)
    assert refused.value.code is Code.INVALID
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000


def test_nothing_is_unpacked_of_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "open", never)
    for story in ("a bomb that says so", "too many files", "a path that climbs out", "a symbolic link", "encrypted"):
        with pytest.raises(Error):
            read(BAD[story][0], "0" * 32)


def test_a_long_directory_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """200,000 empty entries fit in 10 MiB, and cost seconds to be listed."""
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("read"))
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, *[0] * 15)
    directory = entry * 200_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, len(directory), 0, 0)
    with pytest.raises(Error, match="list of files is longer"):
        read(directory + end, "0" * 32)


def test_a_second_end_record_of_zip64_is_refused() -> None:
    """Its second end record would tell of a longer directory than the first one does."""
    body = zipped(GOOD)
    at = body.rfind(b"PK\x05\x06")
    size, offset = struct.unpack_from("<LL", body, at + 12)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 3, 3, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    honest = body[:at] + record + locator + body[at:]
    assert zipfile.ZipFile(io.BytesIO(honest)).testzip() is None
    with pytest.raises(Error, match="zip64"):
        read(honest, md5_of(GOOD))


def test_a_file_of_many_gigabytes_by_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry's own zip64 field says 2**62 bytes."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for path, data in GOOD.items():
            archive.writestr(path, data)
        archive.filelist[0].file_size = 2**62
    with pytest.raises(Error, match="at most 268435456 are allowed"):
        read(body.getvalue(), md5_of(GOOD))
