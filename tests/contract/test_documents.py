"""Whatever a family uploads is read, or refused with a sentence that says what to do."""

import io
import json
import random
import time
import zipfile

import docx
import pypdfium2
import pytest

from adapters.documents import read_upload
from kernel.errors import BadInput, BadLine, HeirloomError

TOLD = "My father kept forty ewes on the hill above Tarn Beck, and knew them all."
讲过 = "我爹在槐树下给人剃头，一个头收两分钱，逢年过节不收钱。"


def read(name, body, sender=""):
    return read_upload(name, body, sender=sender, max_answer_bytes=200_000)


def pdf(*lines):
    """A page of PDF 1.4 by hand: enough for Helvetica and a line of text each."""
    words = " T* ".join(f"({line}) Tj" for line in lines)
    stream = f"BT /F1 12 Tf 14 TL 72 720 Td {words} ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
    ]
    body = b"%PDF-1.4\n" + b"".join(b"%d 0 obj%s endobj\n" % (n, one) for n, one in enumerate(objects, start=1))
    return body + b"trailer<</Root 1 0 R>>\n%%EOF"


def docx_of(*paragraphs):
    document, body = docx.Document(), io.BytesIO()
    document.add_heading("The farm")
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    document.save(body)
    return body.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "big5"])
def test_a_chinese_text_is_read_in_any_encoding(encoding):
    traditional = "我爹在槐樹下給人剃頭，一個頭收兩分錢，逢年過節不收錢。"
    told = traditional if encoding == "big5" else 讲过
    (answer,) = read("回忆.txt", (told * 5).encode(encoding))
    assert answer.answer == told * 5


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_lines_of_json_are_read_in_any_encoding(encoding):
    told = "\r\n".join(json.dumps({"question": "后来呢？", "answer": 讲过}, ensure_ascii=False) for _ in range(3))
    assert [one.answer for one in read("a.jsonl", told.encode(encoding))] == [讲过] * 3
    chat = "\n".join(json.dumps({"sender": "奶奶", "text": 讲过}, ensure_ascii=False) for _ in range(3))
    assert read("c.jsonl", chat.encode(encoding), "奶奶")[0].answer.startswith(讲过)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_a_line_that_is_no_json_is_named_in_any_encoding(encoding):
    told = json.dumps({"question": "后来呢？", "answer": 讲过}, ensure_ascii=False)
    with pytest.raises(BadLine, match="Line 3 cannot be read"):
        read("a.jsonl", f"{told}\n\n{told[:-1]}\n{told}".encode(encoding))


def test_a_line_in_which_something_is_broken_is_named():
    told = json.dumps({"question": "后来呢？", "answer": 讲过}, ensure_ascii=False).encode()
    with pytest.raises(BadLine, match=r"Line 2 cannot be read \(not UTF-8"):
        read("a.jsonl", told + b"\n" + told[:40] + b"\xff" + told[40:] + b"\n" + told)


def test_an_english_text_with_old_quotes_is_read():
    (answer,) = read("memoir.TXT", ("“Café” is what the sign said, and we had tea there. " * 8).encode("cp1252"))
    assert answer.answer.startswith("“Café”")


def test_signs_and_pictures_between_the_words_are_left_out():
    assert [one.answer for one in read("回忆.md", f"# 一\n\n❧❧❧\n\n# 二\n\n{讲过}\n".encode())] == [讲过]


def test_markdown_is_read_without_its_marks():
    (answer,) = read(
        "life.md", f"# The farm\n\n{TOLD} It was *hard* [work](http://x.example).\n\n![](a.png)\n".encode()
    )
    assert (answer.question, answer.answer) == ("The farm", f"{TOLD} It was hard work.")


def test_a_pdf_is_read_as_paragraphs():
    (answer,) = read("life.pdf", pdf("My father kept forty ewes on the", "hill above Tarn Beck, and knew them all."))
    assert answer.answer == TOLD


def test_a_docx_is_read_with_its_headings():
    (answer,) = read("life.docx", docx_of(TOLD, 讲过))
    assert (answer.question, answer.answer) == ("The farm", f"{TOLD}\n{讲过}")


def test_a_chat_and_our_own_lines_are_told_from_a_text():
    chat = f"2021-03-04 10:00:00 Tom\nWhat did he do?\n\n2021-03-04 10:01:00 Gran\n{TOLD}\n".encode()
    assert [(one.question, one.answer) for one in read("chat.txt", chat, "Gran")] == [("What did he do?", TOLD)]
    with pytest.raises(BadInput, match="Tom, Gran"):
        read("chat.txt", chat)
    assert read("a.jsonl", b'{"question": "q", "answer": "a"}')[0].answer == "a"
    assert read("c.jsonl", b'{"sender": "Gran", "text": "%s"}' % TOLD.encode(), "Gran")[0].answer == TOLD


def locked_pdf():
    return pdf("x").replace(
        b"trailer<<",
        b"trailer<</Encrypt<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>/ID[<00><00>]" % (b"11" * 32, b"22" * 32),
    )


def bomb():
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("word/document.xml", b"0" * 210_000_000)
    return body.getvalue()


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("photo.jpg", b"\xff\xd8\xff", "Files that can be read: .jsonl, .txt"),
        ("noname", b"x", "Files that can be read"),
        ("empty.txt", b" \n", "empty"),
        ("noise.txt", bytes(range(256)) * 9, "not text"),
        ("life.pdf", b"%PDF-1.4 nothing", "damaged"),
        ("life.pdf", pdf(""), "pictures of pages"),
        ("life.pdf", locked_pdf(), "password"),
        ("life.docx", b"PK nothing", "damaged"),
        ("life.docx", docx_of(TOLD)[:900], "damaged"),
        ("chat.json", b"{}", "not a chat export"),
        ("headings.md", b"# Only\n\n## headings", "No words"),
    ],
)
def test_what_cannot_be_read_is_said(name, body, said):
    with pytest.raises(HeirloomError, match=said):
        read(name, body)


def test_a_docx_that_would_fill_the_memory_is_refused():
    with pytest.raises(HeirloomError, match="20 MB"):
        read("life.docx", bomb())


def test_an_xml_bomb_in_a_docx_is_refused():
    whole, body = io.BytesIO(docx_of(TOLD)), io.BytesIO()
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    with zipfile.ZipFile(whole) as packed, zipfile.ZipFile(body, "w") as out:
        for one in packed.namelist():
            text = packed.read(one)
            if one == "word/document.xml":
                start = text.index(b"<w:document")
                head = f'<!DOCTYPE d [<!ENTITY e0 "{"x" * 100}">{entities}]>'.encode()
                text = text[:start] + head + text[start:].replace(TOLD.encode(), b"&e8;")
            out.writestr(one, text)
    with pytest.raises(HeirloomError, match="damaged"):
        read("life.docx", body.getvalue())


def test_a_word_that_a_pdf_parted_is_whole_again():
    (answer,) = read("life.pdf", pdf("My father kept forty ewes and remem-", "bered each of them by its name."))
    assert answer.answer == "My father kept forty ewes and remembered each of them by its name."


def test_a_page_that_is_drawn_a_thousand_times_is_refused():
    one = pdf(*[f"line {number} of a long page" for number in range(3000)])
    many = one.replace(b"/Kids[3 0 R]/Count 1", b"/Kids[" + b"3 0 R " * 1500 + b"]/Count 1500")
    began = time.monotonic()
    with pytest.raises(HeirloomError, match="3000000 characters"):
        read("life.pdf", many)
    assert time.monotonic() - began < 20


def test_a_questionnaire_in_a_table_and_a_long_docx_are_read():
    document, body = docx.Document(), io.BytesIO()
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Where were you born?", TOLD
    document.save(body)
    assert TOLD in read("life.docx", body.getvalue())[0].answer
    began = time.monotonic()
    assert len(read("life.docx", docx_of(*[TOLD] * 3_000))) > 300
    assert time.monotonic() - began < 10


def test_markdown_loses_no_words():
    text = "    An indented paragraph.\n\n```\nA fence.\n```\n\n<p>In a tag.</p>\n"
    (answer,) = read("life.md", text.encode())
    assert answer.answer.split("\n") == ["An indented paragraph.", "A fence.", "In a tag."]


def test_whatever_is_wrong_with_a_docx_is_one_sentence():
    whole, rng = docx_of(TOLD, 讲过), random.Random(7)
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(5):
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        try:
            read("life.docx", bytes(broken))
        except HeirloomError as error:
            assert "docx" in str(error) or "No words" in str(error) or "NUL" in str(error)


def test_pdfium_is_given_back(monkeypatch):
    closed = []
    close = pypdfium2.PdfDocument.close
    monkeypatch.setattr(pypdfium2.PdfDocument, "close", lambda self: (closed.append(1), close(self))[1])
    read("life.pdf", pdf(TOLD))
    assert closed
