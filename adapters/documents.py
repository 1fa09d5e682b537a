"""Documents: what a family uploads, in any of its formats, as answers.

PDF is read by PDFium, docx by python-docx, Markdown by markdown-it; a text's encoding is found by charset-normalizer
where it is not UTF-8. The name's ending says which it is.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import PurePath
from threading import Lock
from typing import Any

import docx
import pypdfium2
from charset_normalizer import from_bytes
from docx.oxml.ns import qn
from markdown_it import MarkdownIt
from markdown_it.token import Token

from kernel.chat_export import read_csv, read_jsonl, read_telegram, read_wechat, told_by
from kernel.document import Block, passages, read_blocks
from kernel.errors import BadInput, HeirloomError, TooLarge
from kernel.memory import Answer
from kernel.upload import check_count, has_words, make_answer, read_answers

MOST_PAGES = 2_000
MOST_CHARACTERS = 3_000_000  #: of a PDF: ten long books
MOST_XML = 20_000_000  #: bytes of an opened docx, pictures apart
_PDF_HYPHEN = "\ufffe"  #: PDFium's, at a line's end
_PDFIUM = Lock()  #: PDFium may be in one thread only
_ENCODINGS = ("gb18030", "big5", "cp1252")  #: what Chinese and English texts are in that are not in Unicode


def read_upload(name: str, body: bytes, *, sender: str, max_answer_bytes: int) -> list[Answer]:
    """`sender`: who of a chat is the elder; not asked of other files. Raises BadInput, BadLine, TooLarge."""
    kind = PurePath(name).suffix.casefold()
    if kind not in _READERS:
        known = ", ".join(_READERS)
        raise BadInput(reason=f"Files that can be read: {known}.")
    if not body.strip():
        raise BadInput(reason="The file is empty.")
    if kind == ".jsonl":
        body = _in_utf8(body)
        if b'"sender"' not in body.lstrip().partition(b"\n")[0]:
            return read_answers(body, max_answer_bytes=max_answer_bytes)
    answers = [
        make_answer(one.question, one.answer, max_answer_bytes=max_answer_bytes, told_at=one.told_at)
        for one in _READERS[kind](body, sender)
        if has_words(one.answer)
    ]
    if not answers:
        raise BadInput(reason="No words of the elder were found in the file.")
    check_count(answers)
    return answers


def _text(body: bytes, sender: str) -> list[Answer]:
    text = decoded(body)
    if chat := read_wechat(text):
        return told_by(sender, chat)
    return passages(read_blocks(text))


def decoded(body: bytes) -> str:
    """Raises BadInput for what is not text."""
    try:
        text = body.decode("utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = str(from_bytes(body, cp_isolation=list(_ENCODINGS)).best() or "\x00")
    if "\x00" in text:
        raise BadInput(reason="The file is not text, or its encoding is not known: save it as UTF-8.")
    return text


def _in_utf8(body: bytes) -> bytes:
    """Lines of JSON in any encoding; as they came where none fits, so that the line that is wrong is named."""
    try:
        return decoded(body).encode()
    except BadInput:
        return body


def _pdf(body: bytes) -> list[Block]:
    pages: list[str] = []
    try:
        with _PDFIUM, pypdfium2.PdfDocument(body) as document:
            if len(document) > MOST_PAGES:
                raise TooLarge(what="The file", limit=f"{MOST_PAGES} pages")
            for page in document:
                pages.append(page.get_textpage().get_text_range())
                _check_length(pages)
    except pypdfium2.PdfiumError as error:
        reason = (
            "The PDF is locked with a password: save it without one."
            if "assword" in str(error)
            else "The PDF cannot be opened: it is damaged, or not a PDF."
        )
        raise BadInput(reason=reason) from error
    text = "\n".join(pages).replace(_PDF_HYPHEN, "")
    if not text.strip():
        raise BadInput(reason="The PDF holds pictures of pages and no text: read it with a text recognition first.")
    return read_blocks(text)


def _docx(body: bytes) -> list[Block]:
    """Paragraphs, and those in tables: a questionnaire may be one."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            if sum(one.file_size for one in packed.infolist() if one.filename.endswith((".xml", ".rels"))) > MOST_XML:
                raise TooLarge(what="The file", limit=f"{MOST_XML // 1_000_000} MB")
        document = docx.Document(io.BytesIO(body))
        styles = {style.style_id: style.name or "" for style in document.styles}
        return [
            Block(text=text, is_heading=styles.get(paragraph.style or "", "").startswith(("Heading", "Title")))
            for paragraph in document.element.body.iter(qn("w:p"))
            if (text := "".join(_run_text(run) for run in paragraph.iter(qn("w:t"), qn("w:tab"), qn("w:br")))).strip()
        ]
    except HeirloomError:
        raise
    except Exception as error:  # whatever python-docx, lxml and zlib raise of a damaged file
        raise BadInput(reason="The document cannot be opened: it is damaged, or not a docx.") from error


def _run_text(run: Any) -> str:
    return (run.text or "") if run.tag == qn("w:t") else " "


def _markdown(body: bytes) -> Iterator[Block]:
    before = ""
    for token in MarkdownIt("commonmark").parse(decoded(body)):
        text = "".join(map(_plain, token.children or []))
        if token.type in ("code_block", "fence", "html_block"):  # an indented paragraph is one, too
            text = re.sub(r"<[^<>]*>", " ", token.content)
        if text.strip():
            yield Block(text=text, is_heading=before == "heading_open")
        before = token.type


def _plain(token: Token) -> str:
    """Of a piece of a Markdown line: its words, without what they look like or lead to."""
    if token.type in ("softbreak", "hardbreak"):
        return " "
    return token.content if token.type in ("text", "code_inline") else ""


def _check_length(pages: list[str]) -> None:
    """One stream may be drawn on every page."""
    if sum(map(len, pages)) > MOST_CHARACTERS:
        raise TooLarge(what="The file", limit=f"{MOST_CHARACTERS} characters")


_READERS: dict[str, Callable[[bytes, str], list[Answer]]] = {
    ".jsonl": lambda body, sender: told_by(sender, read_jsonl(body)),
    ".txt": _text,
    ".md": lambda body, sender: passages(_markdown(body)),
    ".pdf": lambda body, sender: passages(_pdf(body)),
    ".docx": lambda body, sender: passages(_docx(body)),
    ".json": lambda body, sender: told_by(sender, read_telegram(decoded(body))),
    ".csv": lambda body, sender: told_by(sender, read_csv(decoded(body))),
}
