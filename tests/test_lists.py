"""Lists of files, as other programs write them: names, whatever the encoding, the line ends and the length."""

from __future__ import annotations

import io
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scanner.errors import FacescanError
from scanner.sources import lists
from scanner.sources.lists import MAX_NAME_BYTES, read_list
from scanner.system.wakeup import Wakeup


class Trickle(io.RawIOBase):
    """A pipe that hands out one chunk a read, and remembers how many it gave."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.left = list(chunks)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        chunk = self.left.pop(0) if self.left else b""
        buffer[: len(chunk)] = chunk
        return len(chunk)


@pytest.mark.parametrize(
    ("text", "null", "names"),
    [
        (b"", False, []),
        (b"a.jpg\n", False, ["a.jpg"]),
        (b"a.jpg\nb.jpg", False, ["a.jpg", "b.jpg"]),
        (b"a.jpg\r\nb.jpg\r\n", False, ["a.jpg", "b.jpg"]),
        (b"\n\na\n\r\n\nb\n", False, ["a", "b"]),
        (b" a b \n", False, [" a b "]),
        (b"a\n-\nb\n", False, ["a", "./-", "b"]),  # a file of that name, never standard input
        (b"\xef\xbb\xbfa\r\n\xef\xbb\xbfb\r\n", False, ["a", "\ufeffb"]),  # a mark is one at the beginning only
        (b"\xef\xbb\xbf", False, []),
        (b"\xef", False, ["\udcef"]),
        ("\ufeffa b\r\né\U0001f600.jpg\r\n".encode("utf-16-le"), False, ["a b", "é\U0001f600.jpg"]),
        ("\ufeffa\nb".encode("utf-16-be"), False, ["a", "b"]),
        (b"\xef\xbb\xbfa\0\xff\xfeb\0", True, ["\ufeffa", "\udcff\udcfeb"]),  # bytes of names, as find wrote them
        (b"a\nb\0c\r\0\0d", True, ["a\nb", "c\r", "d"]),
        (b"\xff.jpg\n\xc3\xa9.jpg", False, ["\udcff.jpg", "é.jpg"]),
    ],
)
def test_read_list(text, null, names):
    assert list(read_list(io.BytesIO(text), null)) == names


@given(
    names=st.lists(st.binary(min_size=1, max_size=20)),
    null=st.booleans(),
    cuts=st.lists(st.integers(1, 7), min_size=1),
)
def test_a_list_comes_back_however_it_was_cut(names, null, cuts):
    end = b"\0" if null else b"\n"
    names = [name for name in names if b"\0" not in name and (null or not (b"\n" in name or name.endswith(b"\r")))]
    assume(null or not b"".join(names[:1]).startswith((b"\xef", b"\xff", b"\xfe")))  # how a byte order mark begins
    text, chunks = b"".join(name + end for name in names), []
    while text:
        size = cuts[len(chunks) % len(cuts)]
        chunks.append(text[:size])
        text = text[size:]
    found = read_list(io.BufferedReader(Trickle(chunks)), null)
    assert [os.fsencode(name) for name in found] == [b"./-" if name == b"-" else name for name in names]


def test_a_list_is_read_as_it_comes():
    pipe = Trickle([b"first.jpg\nsec", b"ond.jpg\n", b"third.jpg\n"])
    names = read_list(io.BufferedReader(pipe), null_separated=False)
    assert next(names) == "first.jpg"
    assert pipe.left == [b"ond.jpg\n", b"third.jpg\n"]
    assert list(names) == ["second.jpg", "third.jpg"]


@pytest.mark.skipif(not hasattr(select, "poll"), reason="nobody can ask a pipe here whether it has more")
def test_a_list_says_that_nothing_comes():
    reading, writing = os.pipe()
    with open(reading, "rb") as stream:
        names = read_list(stream, null_separated=False)
        os.write(writing, b"a.jpg\nb.j")
        assert [next(names) for _ in range(3)] == ["a.jpg", None, None]
        os.write(writing, b"pg\n")
        assert [next(names) for _ in range(2)] == ["b.jpg", None]
        os.close(writing)
        assert list(names) == []


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (b"a.jpg\0b.jpg\0", "use -0"),
        (b"first.jpg\n" + 3 * b"a.jpg\0", "use -0"),
        ("a.jpg\nb.jpg\n".encode("utf-16-le"), "save it as UTF-8"),  # without a byte order mark
        (b"\xff\xfea\0\n", "save it as UTF-8"),
        ("\ufeffa\n".encode("utf-32-le"), "save it as UTF-8"),
    ],
)
def test_what_is_no_list_of_lines_ends_the_run_before_anything_is_scanned(text, advice):
    names = read_list(io.BytesIO(text), False, "names.txt")
    with pytest.raises(FacescanError, match=f"^--files-from names.txt: .*{advice}"):
        assert list(names) == []


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("length", [MAX_NAME_BYTES - 1, MAX_NAME_BYTES, MAX_NAME_BYTES + 1, 200_000])
def test_a_name_is_cut_where_no_system_would_open_it(null, length):
    end = b"\0" if null else b"\r\n"
    text = end.join([b"a", length * b"x", b"b", length * b"y"])
    expected = ["a", min(length, MAX_NAME_BYTES) * "x", "b", min(length, MAX_NAME_BYTES) * "y"]
    assert list(read_list(io.BytesIO(text), null)) == expected
    chunks = [text[at : at + 5000] for at in range(0, len(text), 5000)]
    assert list(read_list(io.BufferedReader(Trickle(chunks)), null)) == expected


@pytest.mark.slow
@given(
    text=st.text(st.characters(codec="utf-8", exclude_characters="\0")), cuts=st.lists(st.integers(1, 7), min_size=1)
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_list_says_the_same_in_every_encoding(encoding, text, cuts):
    plain = list(read_list(io.BytesIO(text.removeprefix("\ufeff").encode()), False))
    encoded, chunks = f"\ufeff{text.removeprefix(chr(0xFEFF))}".encode(encoding), []
    while encoded:
        size = cuts[len(chunks) % len(cuts)]
        chunks.append(encoded[:size])
        encoded = encoded[size:]
    assert [name for name in read_list(io.BufferedReader(Trickle(chunks)), False) if name is not None] == plain


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_DATA")
def test_a_line_of_150_mb_takes_neither_time_nor_memory(tmp_path):
    """Beside 40 MB for all else, there is no room for the line; quadratic work would take minutes of processor time."""
    (tmp_path / "long.jsonl").write_bytes(150 * 2**20 * b"x" + b"\nb.jpg")
    program = (
        "import sys; from scanner.sources.lists import read_list\n"
        "print([len(name) for name in read_list(open('long.jsonl', 'rb'), False)])"
    )

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (40 * 2**20, -1))
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))

    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
        preexec_fn=limit,
    )
    assert (done.stdout, done.stderr) == (f"[{MAX_NAME_BYTES}, 5]\n".encode(), b"")


@pytest.mark.skipif(not hasattr(select, "poll"), reason="needs poll()")
def test_a_wait_for_the_next_name_ends_when_there_is_something_to_collect(monkeypatch):
    monkeypatch.setattr(lists, "POLL_INTERVAL_S", 3600)
    names, writer = os.pipe()
    news, announce = os.pipe()
    wakeup = Wakeup()
    with open(names, "rb") as stream, open(writer, "wb", buffering=0) as end:
        listed = read_list(stream, null_separated=False, wakeup=wakeup)
        end.write(b"one\n")
        assert next(listed) == "one"
        wakeup.descriptors = lambda: [news]
        os.write(announce, b"!")
        assert next(listed) is None
        os.read(news, 1)
        end.write(b"two\n")
        assert next(listed) == "two"
    os.close(news)
    os.close(announce)
