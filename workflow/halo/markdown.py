"""Tables in Markdown."""


def cell(text: object) -> str:
    """`text` in a cell of a table, which a vertical bar or a line break would end."""
    return " ".join(str(text).split()).replace("|", r"\|")
