"""Small tables of text, for a terminal and for a notebook. The first row is the heading."""

from collections.abc import Sequence


def as_text(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with columns aligned: text to the left, numbers to the right."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(map(_is_number, column[1:])) for column in columns]
    return ["  ".join(map(_cell, row, widths, right)).rstrip() for row in rows]


def as_html(rows: Sequence[Sequence[str]], head: str, foot: str = "") -> str:
    """Return a table with a line of code above and one of text below."""
    from html import escape

    lines = [f"<div><code>{escape(head)}</code>"]
    if rows:
        lines.append("<table>")
        for i, row in enumerate(rows):
            tag = "td" if i else "th"
            lines.append("<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>")
        lines.append("</table>")
    if foot:
        lines.append(f"<p>{escape(foot)}</p>")
    return "\n".join((*lines, "</div>"))


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return cell == "..."
    return True


def _cell(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)
