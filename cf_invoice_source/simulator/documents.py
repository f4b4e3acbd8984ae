"""The PDF of an invoice, made by hand: one page of text, which opens in any reader."""

from typing import Any

_TEXT = "BT /F1 {size} Tf 56 {height} Td ({line}) Tj ET"

_PAGE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
    b"/Resources << /Font << /F1 5 0 R >> >> >>"
)


def pdf_of(record: Any) -> bytes:
    """Make the PDF of an invoice. The same record always gives the same bytes, and another one others."""
    amounts = (f"{name}: {record.get(name)}" for name in ("amount_due", "amount_paid", "amount_remaining"))
    lines = [
        "Made-up invoice",
        str(record.get("id")),
        f"status: {record.get('status')}",
        f"created: {record.get('created')}",
        *(f"{amount} {record.get('currency')} (minor units)" for amount in amounts),
    ]
    sizes = [20, *[11] * (len(lines) - 1)]
    drawn = "\n".join(
        _TEXT.format(size=size, height=780 - 24 * place, line=_escaped(line))
        for place, (size, line) in enumerate(zip(sizes, lines, strict=True))
    ).encode("latin-1", "replace")
    return _file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            _PAGE,
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(drawn), drawn),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ]
    )


def _file(objects: list[bytes]) -> bytes:
    """Write a PDF: its header, the numbered objects, where each of them begins, and which is the first."""
    content, begins = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, each in enumerate(objects, start=1):
        begins.append(len(content))
        content += b"%d 0 obj\n%b\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % begin for begin in begins)
    return content + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, len(content))
    )


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char in "()\\" else char for char in text if char.isprintable())
