"""A notebook as a page: its words, and its code in fences."""

import json


def as_markdown(notebook: str) -> str:
    """`notebook` is the text of an ipynb file."""
    parts = []
    for cell in json.loads(notebook)["cells"]:
        text = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + "\n"
