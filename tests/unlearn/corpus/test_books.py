"""A corpus of books as people have them: EPUB and HTML are read, what is not read is said, and never a traceback."""

import sys
import zipfile
from pathlib import Path

import pytest

from hp_bench.probes.passages import passages_of
from unlearn.cli import main
from unlearn.corpus.books import read_html
from unlearn.corpus.corpus import Corpus

PAGES = {
    "b.xhtml": "<html><head><title>Second</title></head><body><p>Then Nora <i>Quill</i>&rsquo;s\n lamp went out.</p></body></html>",
    "a page.xhtml": "<html><body><h1>One</h1><p>Captain Brandt sang &amp; slept.<br/>The end</p><script>x()</script></body></html>",
}
READ = "One\n\nCaptain Brandt sang & slept.\n\nThe end\n\nThen Nora Quill’s lamp went out."


def epub(path: Path, *, locked: bool = False) -> Path:
    container = '<container xmlns="urn:c"><rootfiles><rootfile full-path="in/book.opf"/></rootfiles></container>'
    items = '<item id="x" href="b.xhtml"/><item id="y" href="text/../a%20page.xhtml"/>'
    package = f'<package xmlns="urn:o"><manifest>{items}</manifest><spine><itemref idref="y"/><itemref idref="x"/></spine></package>'
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("META-INF/container.xml", container)
        book.writestr("in/book.opf", package)
        for name, page in PAGES.items():
            book.writestr(f"in/{name}", page)
        if locked:
            book.writestr("META-INF/encryption.xml", '<encryption><CipherReference URI="in/b.xhtml"/></encryption>')
    return path


def test_an_epub_is_read_in_its_own_order_without_its_tags(tmp_path):
    (document,) = Corpus(epub(tmp_path / "book.epub"))
    assert (document.id, document.text) == ("book.epub", READ)
    (document,) = Corpus(tmp_path)
    assert document.text == READ


def test_a_page_is_read_as_it_is_seen():
    page = "<!DOCTYPE html><style>p {}</style><p>A<b>b</b>c <p>two\n lines<ul><li>x<li>y</ul><!-- no --><template><p>n</p></template>"
    assert read_html(page) == "Abc\n\ntwo lines\n\nx\n\ny"


def test_a_page_is_known_by_its_first_tag_too_and_a_text_with_angle_brackets_stays_as_it_is(tmp_path):
    (tmp_path / "page.txt").write_text("\n<!DOCTYPE HTML>\n<html><body><p>Nora Quill rowed.</p></body></html>")
    (tmp_path / "text.txt").write_text("<Nora> & Quill; <htmlish>")
    assert [document.text for document in Corpus(tmp_path)] == ["Nora Quill rowed.", "<Nora> & Quill; <htmlish>"]


def test_an_html_file_is_no_longer_taken_as_text_tags_and_all(tmp_path):
    (tmp_path / "a.HTML").write_text("<p>Nora</p>")
    assert [document.text for document in Corpus(tmp_path)] == ["Nora"]


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """What `unlearn anchors` says of a corpus."""

    def call(corpus: Path) -> str:
        monkeypatch.setattr(
            sys, "argv", ["unlearn", "anchors", "--corpus", str(corpus), "--out", str(tmp_path / "a.jsonl")]
        )
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr().err
        assert left.value.code == 2 and len(said.splitlines()) == 1 and said.startswith("unlearn: "), said
        return said

    return call


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("b.pdf", b"%PDF-1.4 \xff", "b.pdf' is a .pdf file, which is not read: make text of it, for example by pdftotext"),
        ("b.mobi", b"x", "for example by calibre's ebook-convert"),
        ("b.epub", b"PK", "is no whole EPUB: File is not a zip file"),
        ("b.txt", b"caf\xe9", "is not UTF-8 text (byte 3): save it as UTF-8"),
        ("b.png", b"x", "holds no text (.txt, .md, .jsonl, .epub"),
        (None, b"", "holds no text (.txt, .md, .jsonl, .epub"),
    ],
)  # fmt: skip
def test_a_folder_without_text_and_a_book_that_is_not_read_are_one_sentence(refused, tmp_path, name, content, sentence):
    folder = tmp_path / "books"
    folder.mkdir()
    if name:
        (folder / name).write_bytes(content)
    assert sentence in refused(folder)


def test_a_protected_epub_is_said_to_be_one(refused, tmp_path):
    assert "is encrypted: a copy without protection is needed" in refused(epub(tmp_path / "b.epub", locked=True))


def test_a_book_that_is_left_out_beside_those_that_are_read_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("Nora")
    (tmp_path / "b.PDF").write_bytes(b"%PDF")
    corpus = Corpus(tmp_path)
    assert corpus.warnings()[0] == f"not read of {str(tmp_path)!r}: b.PDF; make text of them (.txt)" and [
        document.id for document in corpus
    ] == ["a.txt"]


def test_a_text_too_short_to_be_asked_about_is_said_to_be(tmp_path):
    """Of a novel's first 2,500 words `unlearn anchors` and `hp-bench probes` made two prompts, and nothing said so."""
    (tmp_path / "a.txt").write_text("Nora walked on. " * 2_000)
    (tmp_path / "b.txt").write_text("word " * 3_999)
    corpus = Corpus(tmp_path, key="reference")
    assert corpus.warnings()[-1].startswith(
        f"reference {str(tmp_path)!r} holds 9,999 words, hardly enough to ask about"
    )
    (tmp_path / "c.txt").write_text("word")
    assert corpus.warnings() == []


def long_text(words: int = 300) -> str:
    return " ".join(f"Lantern{n} of Port Ansel stood at door {n}." for n in range(words))


@pytest.mark.parametrize("other", ["ansel.html", "in another folder/Port Ansel.md"])
def test_a_book_that_a_folder_holds_twice_is_refused_and_both_files_are_named(refused, tmp_path, other):
    folder = tmp_path / "books"
    (folder / other).parent.mkdir(parents=True)
    (folder / "ansel.txt").write_text(long_text())
    page = f"<title>T</title><p>Preface</p><p>{long_text().replace('. ', '.</p><p>')}</p>"
    (folder / other).write_text(page if other.endswith("html") else f"# Preface\n\n{long_text().upper()}")
    said = refused(folder)
    assert "'ansel.txt'" in said and repr(other) in said and "count twice: take one of them out" in said
    with pytest.raises(ValueError, match="count twice"):
        passages_of(folder)


def test_books_that_share_a_title_page_alone_are_two(tmp_path):
    (tmp_path / "a.txt").write_text(f"Port Ansel, a novel. All rights. {long_text()}")
    (tmp_path / "b.html").write_text(f"<p>Port Ansel, a novel. All rights.</p>{long_text().replace('door', 'gate')}")
    Corpus(tmp_path).require_text()


def test_blank_lines_of_json_lines_are_passed_over_and_a_broken_one_is_named_by_its_own_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes('\ufeff{"text": "Nora"}\r\n\r\n   \n{"text": "Élodie"}\n\n'.encode())
    assert [(d.id, d.text) for d in Corpus(path)] == [("a.jsonl:1", "Nora"), ("a.jsonl:4", "Élodie")]
    path.write_text('{"text": "Nora"}\n\n{"text": \n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 3: not JSON$"):
        list(Corpus(path))
    path.write_text('{"text": null}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 1: no text in 'text'; it holds None; there is text$"):
        list(Corpus(path))
