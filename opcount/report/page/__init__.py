"""A profile or a comparison as one HTML page: an icicle to zoom into, a table to search, what changed between models.

The page asks for nothing outside itself, and its content policy forbids it to. d3 lays out and draws; it comes from the
file that the package mpld3 ships, and is written into the page. Names are data: they reach the page as JSON in a block
that is not executed, and are put into it as text.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opcount.errors import MissingExtraError
from opcount.ops import FIGURES
from opcount.report.escape import visible
from opcount.report.layers import heading, notes, output_text
from opcount.result import Profile
from opcount.tree import Node, grow, walk

if TYPE_CHECKING:
    from opcount.comparison import Comparison
    from opcount.report.sections import Section

_HERE = Path(__file__).parent
_EXTRA = "a page needs {0}, which is not installed: pip install 'opcount[page]'"


def page(subject: Profile | Comparison, sections: Sequence[Section] = ()) -> str:
    """The page, as the text of one file; sections are tables of their own, below the layers.

    Raises:
        MissingExtraError: d3 or jinja2 is not there to draw it.
    """
    profiles = (subject,) if isinstance(subject, Profile) else subject.profiles
    return assembled("page", " · ".join(visible(profile.model) for profile in profiles), page_data(subject), sections)


def assembled(name: str, title: str, data: Any, sections: Sequence[Section] = ()) -> str:
    """One file of a template and a script of this folder, the style, d3 and the data.

    Raises:
        MissingExtraError: d3 or jinja2 is not there to draw it.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError(_EXTRA.format("jinja2")) from error
    library, script = _inert(_d3()), (_HERE / f"{name}.js").read_text(encoding="utf-8")
    templates = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return templates.get_template(f"{name}.html").render(
        title=title,
        hashes=" ".join(f"'sha256-{_sha256(code)}'" for code in (library, script)),
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        data=embedded(data),
        sections=[(section.key, section.title, *_static(section)) for section in sections],
        library=library,
        script=script,
    )


def page_data(subject: Profile | Comparison) -> dict[str, Any]:
    """What the page shows. Every figure is a string of digits, so that none is rounded however large it is."""
    if isinstance(subject, Profile):
        return {"figures": list(FIGURES), "models": [_model(subject, "")], "changes": None}
    from opcount.report.models import model_labels
    from opcount.report.page.changes import changes

    names = [visible(profile.model.rpartition(":")[2].rpartition(".")[2]) for profile in subject.profiles]
    labels = names if len(set(names)) == len(names) and all(names) else model_labels(subject)
    models = [_model(profile, label) for profile, label in zip(subject.profiles, labels, strict=True)]
    return {"figures": list(FIGURES), "models": models, "changes": changes(subject)}


def embedded(data: Any) -> str:
    r"""JSON that no HTML parser sees markup in.

    >>> embedded(["</script><!--", "\u2028"])
    '["\\u003c/script\\u003e\\u003c!--","\\u2028"]'
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _static(section: Section) -> tuple[str, str]:
    """The table and the drawing of a section; nothing of them is a script."""
    from opcount.report.hypertext import hypertext

    return hypertext(section.sheet), section.drawing() if section.drawing is not None else ""


def _model(profile: Profile, label: str) -> dict[str, Any]:
    name, *rest = heading(profile)
    nodes = [node for node, _ in walk(grow(profile))]
    return {
        "name": name,
        "label": label or name.rpartition(":")[2].rpartition(".")[2] or name,
        "about": rest,
        "complete": profile.complete,
        "notes": [note.separator.join(note.parts).strip() for note in notes(profile)],
        "params": str(profile.params),
        "layers": list(_layers(nodes)),
    }


def _layers(nodes: Iterable[Node]) -> Iterable[list[Any]]:
    """For each node: the position of its parent, what it is, and its own figures as ``FIGURES`` has them."""
    parents: dict[int, int] = {}
    for index, node in enumerate(nodes):
        parents.update((id(child), index) for child in node.children)
        part = node.parts[0]
        if part is None:
            continue
        output = output_text(part.record, within=True) if part.record else None
        figures = [str(count) for count in part.ops.to_dict().values()]
        yield [
            parents.get(id(node), -1), visible(node.name), visible(part.type), output or "", part.calls,
            str(part.params), *figures, int(part.incomplete),
        ]  # fmt: skip


@cache
def _d3() -> str:
    """The newest d3 that mpld3 ships; looked for without importing mpld3, which would import matplotlib."""
    found = importlib.util.find_spec("mpld3")
    folders = found.submodule_search_locations if found else None
    files = [file for folder in folders or () for file in (Path(folder) / "js").glob("d3.v*.min.js")]
    if not files:
        raise MissingExtraError(_EXTRA.format("d3 as mpld3 ships it"))
    newest = max(files, key=lambda file: int("".join(filter(str.isdigit, file.name.split(".")[1])) or 0))
    return newest.read_text(encoding="utf-8")


def _inert(code: str) -> str:
    """A script that does not end early inside its element."""
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _sha256(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
