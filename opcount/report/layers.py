"""A profile as a sheet: a row for each layer that has something to say, or the tree they form.

Shown is every module that costs something itself, holds parameters itself, ran something uncounted, or is a leaf that
was called; a container that only passes on is not. On a terminal too narrow for every column they go in the order of
``DROPS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from opcount.ops import OpCount
from opcount.report import digits
from opcount.report.digits import duration, plural, times
from opcount.report.escape import visible
from opcount.report.lines import Line, flat_lines, tree_lines
from opcount.report.phases import phase_cells, phase_columns, phase_notes, phase_totals
from opcount.report.sheet import Cell, Column, Fact, Note, Row, Sheet
from opcount.report.view import View
from opcount.result import LayerRecord, Profile, Uncounted
from opcount.tree import grow

COLUMNS = (
    Column("layer", "layer", "layer", "path"),
    Column("type", "type", "type", "text"),
    Column("output", "output", "output", "text"),
    Column("params", "params", "params", "count"),
    Column("multiplications", "multiplications", "mults", "count"),
    Column("additions", "additions", "adds", "count"),
    Column("macs", "MACs", "MACs", "count"),
    Column("bar", "", "", "bar"),
    Column("share", "share", "share", "share"),
)

DROPS = ("macs", "type", "params", "output", "bar", "share")
"""What a narrow terminal gives up, first to last. Path, multiplications and additions always stay. A dropped MACs or
params column leaves its total below the table."""

MODEL = "(model)"
"""How the row of the model itself is called."""

_MOST_KINDS, _MOST_PATHS = 5, 4


def layers_sheet(
    profile: Profile, remarks: Sequence[str] = (), view: View | None = None, *, terminal: bool = True
) -> Sheet:
    """The sheet of one profile.

    Args:
        profile: what it is about.
        remarks: words added to its heading.
        view: which rows; each layer if None.
        terminal: whether a long table folds by itself, and a tree is indented; a file has whole paths.
    """
    view = view or View()
    root = grow(profile)
    lines = tree_lines(root, view) if view.tree else flat_lines(root, view, wide=terminal)
    extra = _extra(view)
    sheet = Sheet(
        headings=(heading(profile, remarks),),
        columns=(*COLUMNS[:7], *extra, *COLUMNS[7:]),
        rows=tuple(_row(line, profile, view, indented=terminal) for line in lines),
        total=_total(profile, extra),
        whole=profile.total,
        drops=tuple(frozenset({key}) for key in DROPS),
        facts=_facts(profile),
        notes=(*notes(profile), *_view_notes(lines, view)),
    )
    return sheet if len(profile.phases) == 1 else _by_phase(sheet, profile, phase_cells(lines, root, profile.phases))


def _by_phase(sheet: Sheet, profile: Profile, cells: Sequence[tuple[int, ...]]) -> Sheet:
    """The sheet of a training step: the phases stand where the figures did, and a line has those of each phase."""

    def placed(row: Row, totals: tuple[int, ...]) -> Row:
        return replace(row, cells=(*row.cells[:4], *totals, *row.cells[6:]))

    return replace(
        sheet,
        columns=(*sheet.columns[:4], *phase_columns(profile), *sheet.columns[6:]),
        rows=tuple(placed(row, totals) for row, totals in zip(sheet.rows, cells, strict=True)),
        total=placed(sheet.total, phase_totals(profile)) if sheet.total else None,
        facts=tuple(fact for fact in sheet.facts if fact.column == "params"),
        notes=(*phase_notes(profile), *sheet.notes),
    )


def _extra(view: View) -> tuple[Column, ...]:
    """The column that rows are sorted by, where the table does not have it."""
    if not view.figure or view.figure in ("total", "share", *(column.key for column in COLUMNS)):
        return ()
    return (Column(view.figure, view.figure, view.figure[:6], "count"),)


def _view_notes(lines: Sequence[Line], view: View) -> Iterator[Note]:
    """How to read the rows, where they are not simply the layers."""
    if view.tree:
        yield Note(("a row includes the rows indented under it",))
    folded = [line for line in lines if line.times > 1 and line.node is not None]
    if folded and not view.tree:
        layers, rows = sum(line.times for line in folded), plural(len(folded), "row")
        yield Note((f"identical layers share a row: {layers:,} in {rows}, as in {path_text(folded[0].path)}",))


def heading(profile: Profile, remarks: Sequence[str] = ()) -> tuple[str, ...]:
    """What was counted: the model, its input, how it was run.

    >>> from opcount.ops import Execution
    >>> heading(Profile("Net", ((1, 28, 28),), (), execution_record=Execution("real", seconds=0.012)))
    ('Net', 'input 1x28x28', 'run for real, 12 ms')
    """
    sizes = [shape_text(shape) for shape in profile.inputs]
    inputs = f"input{'s' if len(sizes) > 1 else ''} {', '.join(_folded(sizes))}" if sizes else "no input"
    how = {"real": "run for real", "shapes": "shapes only"}.get(profile.execution, visible(profile.execution))
    reason = f" ({visible(profile.execution_reason)})" if profile.execution_reason else ""
    said = *profile.remarks, *remarks
    return (visible(profile.model), inputs, f"{how}{reason}, {duration(profile.seconds)}", *map(visible, said))


def shown(profile: Profile) -> Iterator[LayerRecord]:
    """The records that get a row."""
    parents = _parents(record.path for record in profile.layers)
    for record in profile.layers:
        leaf = record.path not in parents and (record.path != "" or len(profile.layers) == 1)
        if record.ops or record.params or record.uncounted or (leaf and record.calls):
            yield record


def path_text(path: str) -> str:
    """A path, safe to print; the model itself has none and is called ``(model)``."""
    return visible(path) if path else MODEL


def shape_text(shape: tuple[int, ...]) -> str:
    """A size the way the command reads one.

    >>> shape_text((1, 3, 224, 224)), shape_text(())
    ('1x3x224x224', 'scalar')
    """
    return "x".join(map(str, shape)) or "scalar"


def output_text(record: LayerRecord, within: bool = False) -> str | None:
    """The size a layer answered with; further outputs and further sizes as a number.

    ``within`` marks a layer whose parent's own rule counted it, and which therefore was never called itself.
    """
    if not record.calls:
        return None if within else "not called"
    if not record.output_shapes:
        return None
    outputs = {site.output_shapes for site in record.sites}
    more = f" +{len(record.output_shapes) - 1}" if len(record.output_shapes) > 1 else ""
    sizes = f" +{plural(len(outputs) - 1, 'size')}" if len(outputs) > 1 else ""
    return shape_text(record.output_shapes[0]) + more + sizes


def notes(profile: Profile, subject: str = "") -> Iterator[Note]:
    """The lines below the table: what is missing and what was assumed; ``subject`` says of which of several models."""
    convention = tuple(profile.convention.notes())
    if profile.complete:
        yield Note((f"{subject}every operation counted", *convention), good=True)
    else:
        yield Note((f"{subject}not counted, so the figures are a lower bound:",), good=False)
        yield from _uncounted(profile.uncounted)
        yield Note((subject + convention[0], *convention[1:]))
    idle = [path_text(record.path) for record in shown(profile) if not record.calls and not _within(record, profile)]
    if idle:
        yield Note((f"{subject}never called: {_some(idle)}",))


def also(ops: OpCount) -> tuple[tuple[str, int], ...]:
    """The figures that stand beside the total: a noun and a count each."""
    return (("division", ops.divisions), ("comparison", ops.comparisons), ("transcendental", ops.transcendentals))


def _facts(profile: Profile) -> tuple[Fact, ...]:
    return (
        Fact("multiplication", (profile.multiplications,), column="multiplications"),
        Fact("addition", (profile.additions,), column="additions"),
        Fact("MAC", (profile.macs,), column="macs"),
        Fact("parameter", (profile.params,), column="params"),
        *(Fact(noun, (count,)) for noun, count in also(profile.ops) if count),
    )


def _row(line: Line, profile: Profile, view: View, indented: bool) -> Row:
    """The row of a line; ``indented`` says where it is by indentation, else by its path."""
    part = line.part
    ops, params = line.ops[0] or OpCount(), line.params[0] or 0
    share = digits.tenths(ops.total, line.shares, profile.total)
    figures = (params, ops.multiplications, ops.additions, ops.macs, *_extra_cells(line, ops, view), ops.total, share)
    if part is None or line.node is None:
        return Row((f"{plural(line.count, 'more row')}", None, None, *figures))
    label = line_text(line, indented and view.tree) + times(part.calls * line.times)
    record = part.record
    holds = bool(line.node.children)
    output = output_text(record, holds or _within(record, profile)) if record and not line.own else None
    missing = line.node.incomplete if view.tree and not line.own else part.incomplete
    return Row((label, visible(part.type) if not line.own else None, output, *figures), incomplete=missing)


def line_text(line: Line, indented: bool) -> str:
    """What a line is called: its path, or in a tree the last part of it with as much room before it as it is deep."""
    if line.own and line.level:
        return "  " * line.level + "(own)" if indented else f"{path_text(line.path)} (own)"
    return "  " * line.level + path_text(line.label) if indented else path_text(line.path)


def _extra_cells(line: Line, ops: OpCount, view: View) -> tuple[Cell, ...]:
    if not _extra(view):
        return ()
    if view.figure == "calls":
        return (line.part.calls * line.times if line.part else None,)
    return (int(getattr(ops, view.figure)),)


def _total(profile: Profile, extra: tuple[Column, ...]) -> Row:
    label = "total" if profile.complete else "total counted"
    ops = profile.ops
    more = [None if column.key == "calls" else int(getattr(ops, column.key)) for column in extra]
    share = digits.share(ops.total, ops.total)
    figures = (profile.params, ops.multiplications, ops.additions, ops.macs, *more, ops.total, share)
    return Row((label, None, None, *figures), incomplete=not profile.complete)


def _within(record: LayerRecord, profile: Profile) -> bool:
    """Whether a rule of a module above owns what this one does, as multi-head attention's its output projection."""
    path = record.path
    while path:
        path = path.rpartition(".")[0]
        if path in profile and any(entry.source == "layer" for entry in profile[path].entries):
            return True
    return False


def _parents(paths: Iterable[str]) -> set[str]:
    parents: set[str] = set()
    for path in paths:
        parent = path.rpartition(".")[0]
        while parent and parent not in parents:
            parents.add(parent)
            parent = parent.rpartition(".")[0]
    return parents


def _uncounted(items: Iterable[Uncounted]) -> Iterator[Note]:
    """A line for each kind of thing that was not counted, the most frequent first."""
    groups: dict[tuple[str, str], list[Uncounted]] = {}
    for item in items:
        kind = item.kind if item.phase == "forward" else f"{item.kind}, {item.phase}"
        groups.setdefault((item.name, kind), []).append(item)
    ranked = sorted(groups.items(), key=lambda group: -sum(item.calls for item in group[1]))
    for (name, kind), members in ranked[:_MOST_KINDS]:
        calls = plural(sum(item.calls for item in members), "call")
        where = _some(list(dict.fromkeys(path_text(item.path) for item in members)))
        yield Note((f"  {visible(name)} ({visible(kind)}), {calls} in {where}",), good=False)
    rest = ranked[_MOST_KINDS:]
    if rest:
        calls = plural(sum(item.calls for _, members in rest for item in members), "call")
        yield Note((f"  and {len(rest)} more of these, {calls}: Profile.uncounted lists all",), good=False)


def _some(names: list[str]) -> str:
    if len(names) <= _MOST_PATHS:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_PATHS])} and {len(names) - _MOST_PATHS:,} more"


def _folded(sizes: list[str]) -> list[str]:
    """Equal neighbours as one with a number, and no more than a handful."""
    runs: list[tuple[str, int]] = []
    for size in sizes:
        if runs and runs[-1][0] == size:
            runs[-1] = size, runs[-1][1] + 1
        else:
            runs.append((size, 1))
    texts = [size + times(count) for size, count in runs]
    return texts if len(texts) <= _MOST_PATHS else [*texts[:_MOST_PATHS], f"{len(texts) - _MOST_PATHS} more"]
