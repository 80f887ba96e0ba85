"""Text out of the files that people have books in: EPUB and HTML; what to do with those that are not read."""

import posixpath
import re
from html.parser import HTMLParser
from itertools import permutations
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

#: Endings of the files of a folder that are read.
READ = (".txt", ".md", ".jsonl", ".epub", ".html", ".htm", ".xhtml")

#: Endings of books that are not read -> how to make text of one.
NOT_READ = {".pdf": "pdftotext (poppler)"} | dict.fromkeys(
    (".mobi", ".azw", ".azw3", ".fb2", ".doc", ".docx", ".odt", ".rtf", ".djvu"), "calibre's ebook-convert"
)

#: Letters from the middle of a text that tell it from every other one.
_MIDDLE = 200

#: Elements whose content nobody reads.
_UNSEEN = {"head", "script", "style", "template"}

#: Elements that do not end a paragraph.
_WITHIN = set(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark q rp rt ruby s samp small span strike strong "
    "sub sup time tt u var wbr".split()
)


def require_readable(path: Path) -> None:
    """Raises ValueError if a file is a book of a kind that is not read."""
    if tool := NOT_READ.get(path.suffix.lower()):
        raise ValueError(
            f"{str(path)!r} is a {path.suffix.lower()} file, which is not read: make text of it, for example by {tool}, look it through, "
            "and name the .txt"
        )


def require_once(folder: Path) -> None:
    """Raises ValueError if a folder holds one book as two kinds of file, so that it would count twice."""
    books = [
        file for file in sorted(folder.rglob("*")) if file.suffix.lower() in {*READ} - {".jsonl"} and file.is_file()
    ]
    if len({file.suffix.lower() for file in books}) < 2:
        return
    texts = {file: re.sub(r"[\W_]+", "", read_book(file)).casefold() for file in books}
    for one, other in permutations(books, 2):
        middle = texts[one][len(texts[one]) // 2 :][:_MIDDLE]
        if one.suffix.lower() != other.suffix.lower() and len(middle) == _MIDDLE and middle in texts[other]:
            names = " and ".join(repr(file.relative_to(folder).as_posix()) for file in (one, other))
            raise ValueError(
                f"{names} of {str(folder)!r} hold the same text, which would count twice: take one of them out"
            )


def read_book(path: Path) -> str:
    """Text of an EPUB, an HTML page (by its name or its first tag) or a text file.

    Raises ValueError: it is of a kind that is not read, is broken, or is not UTF-8.
    """
    require_readable(path)
    kind = path.suffix.lower()
    if kind == ".epub":
        return read_epub(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"corpus file {str(path)!r} is not UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from None
    page = kind in (".html", ".htm", ".xhtml") or re.match(r"\s*<(?:!doctype\s+html|html)\b", text, re.IGNORECASE)
    return read_html(text) if page else text


def read_epub(path: Path) -> str:
    """An EPUB's chapters, in their reading order. Raises ValueError: it is no EPUB, is cut short, or is encrypted."""
    try:
        with ZipFile(path) as book:
            container = ElementTree.fromstring(book.read("META-INF/container.xml"))
            package = unquote(next(root.attrib["full-path"] for root in container.findall(".//{*}rootfile")))
            content = ElementTree.fromstring(book.read(package))
            files = {
                item.attrib["id"]: unquote(item.attrib["href"]) for item in content.findall(".//{*}manifest/{*}item")
            }
            order = [files[place.attrib["idref"]] for place in content.findall(".//{*}spine/{*}itemref")]
            chapters = [posixpath.normpath(posixpath.join(posixpath.dirname(package), file)) for file in order]
            locked = book.read(_LOCKS).decode() if _LOCKS in book.namelist() else ""
            if any(chapter in locked for chapter in chapters):
                raise ValueError(f"{str(path)!r} is encrypted: a copy without protection is needed")
            return "\n\n".join(filter(None, (read_html(book.read(chapter).decode()) for chapter in chapters)))
    except (BadZipFile, ElementTree.ParseError, KeyError, StopIteration, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} is no whole EPUB: {error}") from None


_LOCKS = "META-INF/encryption.xml"


def read_html(page: str) -> str:
    """What a reader sees of a page: paragraphs, a blank line between them."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    paragraphs = (" ".join(text.split()) for text in "".join(reader.seen).split(_BREAK))
    return "\n\n".join(filter(None, paragraphs))


#: Stands between paragraphs while a page is read; no page holds it.
_BREAK = "\0"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        self.seen += [] if tag in _WITHIN else [_BREAK]

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0
        self.seen += [] if tag in _WITHIN else [_BREAK]

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.seen.append(data)
