"""Operations layer by layer, and the function from a regular convolution's to the separable one's, checked on each."""

from __future__ import annotations

from collections.abc import Iterator

from lenet.report.costs import Check
from lenet.report.document import Block, Equations, Paragraph, Section, Table
from lenet.report.facts import Facts
from lenet.report.phrases import change, fraction, less, listed
from lenet.report.published import STUDY
from opcount import separable

F = "f(x, C_out, K) = x·(1/C_out + 1/K²)"


def relation(facts: Facts) -> Section:
    """The section."""
    blocks: list[Block] = [
        layer_table(facts),
        Paragraph(
            "The function that maps one column to the other follows from the two costs by algebra. "
            "N is the number of output positions, x and y are multiplications."
        ),
        Equations(tuple((f"{step.title}. {step.words}", str(step.lines[-1])) for step in separable.derive().steps)),
        check_table(facts),
        Paragraph(" ".join(_exactness(facts))),
    ]
    return Section("relation", "Layer by layer, and the relation", blocks)


def layer_table(facts: Facts) -> Table:
    """Multiplications of each convolution and the reduction, beside the study's where that is of the same."""
    checks = facts.costs.checks
    published = {check.path: _published(check) for check in checks}
    beside = all(value is not None for value in published.values())
    rows = [
        (check.path, f"{check.x:,}", f"{check.y:,}", _reduction(check.x, check.y))
        + ((published[check.path] or "",) if beside else ())
        for check in checks
    ]
    before, after = sum(check.x for check in checks), sum(check.y for check in checks)
    totals = [sum(each.layers.values()) for each in STUDY.values()]
    networks = f", networks{facts.wide}" if facts.wide else ""
    rows.append(
        ("together", f"{before:,}", f"{after:,}", _reduction(before, after)) + ((_reduction(*totals),) * beside)
    )
    return Table(
        caption=f"{facts.data}: multiplications of each convolution for one image{networks}",
        head=("layer", "regular", "depthwise", "reduction", *(("study: reduction",) * beside)),
        rows=rows,
    )


def _published(check: Check) -> str | None:
    """The study's reduction of a layer, if it is of that layer."""
    before, after = (each.layers.get(check.path) for each in STUDY.values())
    return None if before is None or after is None or before != check.x else _reduction(before, after)


def _reduction(before: int, after: int) -> str:
    return change(before, after).removeprefix("−")


def check_table(facts: Facts) -> Table:
    """f on each layer against what the hooks counted, in exact fractions."""
    rows = [
        (
            check.path,
            f"{check.out_channels:,}",
            str(check.kernel),
            f"{check.x:,} · ({' + '.join(map(fraction, check.parts))}) = {check.x:,} · {fraction(check.ratio)}",
            fraction(check.predicted),
            f"{check.y:,}",
            "yes" if check.holds else "no",
        )
        for check in facts.costs.checks
    ]
    return Table(
        caption=f"{facts.data}: {F} in exact fractions, against the multiplications counted in the depthwise network",
        head=("layer", "C_out", "K", "x · (1/C_out + 1/K²)", "f", "counted", "equal"),
        rows=rows,
        words=frozenset({0, 3, 6}),
    )


def _exactness(facts: Facts) -> Iterator[str]:
    checks = facts.costs.checks
    if facts.costs.hold:
        yield f"f is the count on every layer, exactly: {listed([check.path for check in checks])}."
    else:
        wrong = [check.path for check in checks if not check.holds]
        yield f"**f is not what was counted on {listed(wrong)}**: those layers are not the plain case it holds for."
    rounded = next((check for check in checks if round(check.ratio, 4) != check.ratio), None)
    if rounded is not None:
        ratio = float(round(rounded.ratio, 4))
        yield (
            f"The ratio has to stay a fraction: {fraction(rounded.ratio)} is {ratio:.4f} only when rounded, and "
            f"{rounded.x:,} · {ratio:.4f} = {rounded.x * ratio:,.2f} is not {fraction(rounded.predicted)}."
        )
    before, after = (facts.costs.of(kind).convolutions for kind in ("regular", "depthwise"))
    yield (
        f"Additions follow with one less an output of each step: {before.multiplications:,} − "
        f"{before.multiplications - before.additions:,} = {before.additions:,} in the regular network, "
        f"{after.multiplications:,} − {after.multiplications - after.additions:,} = {after.additions:,} in the "
        f"depthwise one, {less(before.additions, after.additions)}."
    )
