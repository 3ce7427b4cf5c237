"""Reports in files: every form, whole or not at all; saved profiles read back, and what is none refused."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lenet.models import Depthwise, Regular
from opcount import cli
from opcount.comparison import compare
from opcount.errors import InputError, MissingExtraError, SchemaError
from opcount.ops import OpCount
from opcount.profiler import profile
from opcount.report import render
from opcount.report.files import SUFFIXES, form_of, load_profile, write
from opcount.result import Profile
from tests.made import layer, net

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def regular() -> Profile:
    return profile(Regular())


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main([str(word) for word in words])
    return code, *capsys.readouterr()


# Writing


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_name_tells_the_form(tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    code, out, err = run(capsys, "lenet.models:Regular", "-o", path)
    assert (code, out) == (0, "")
    assert err == f"opcount: wrote {path}\n"
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    form = SUFFIXES[suffix]
    marks = {"html": "<table>", "markdown": "|:---", "latex": "\\toprule", "csv": "layer,type", "rich": "██"}
    assert marks.get(form, "{") in text
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_format_is_stronger_than_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "lenet.models:Regular", "--format", "csv", "-o", tmp_path / "costs.txt")[0] == 0
    assert (tmp_path / "costs.txt").read_text().startswith("layer,type")


def test_an_existing_file_stays_when_anything_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.md"
    path.write_text("before")

    def fail(*words: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(InputError, match="No space left on device"):
                write(str(path), "after")
        assert path.read_text() == "before"
        assert list(tmp_path.iterdir()) == [path]


def test_rights_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "report.md", tmp_path / "link.md"
    path.write_text("before")
    path.chmod(0o640)
    link.symlink_to(path)
    write(str(link), "after")
    assert link.is_symlink()
    assert path.read_text() == "after\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_ordinary_rights(tmp_path: Path) -> None:
    write(str(tmp_path / "one"), "")
    (tmp_path / "two").write_text("")
    assert (tmp_path / "one").stat().st_mode == (tmp_path / "two").stat().st_mode


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="/dev/stdout is where a device is needed to write to")
def test_what_is_no_file_is_written_to() -> None:
    code = "from opcount.report.files import write; write('/dev/stdout', 'hello')"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "hello\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "{0}/nowhere/costs.md"), "nowhere' does not exist; make it first"),
        (("-o", "{0}/costs.md/costs.md"), "costs.md' is not a folder"),
        (("-o", "{0}"), "it is a folder; give the name of a file"),
        (("-o", "{0}/costs.pdf"), "does not tell a form: end it in .speedscope.json"),
        (("-o", "{0}/costs.md", "--format", "markdwon"), "did you mean markdown?"),
        (("--html", "{0}/nowhere/page.html"), "does not exist"),
        (("--depth", "x"), "'x' is no whole number"),
        (("--sort", "mcas"), "there is no column 'mcas'; did you mean macs"),
        (("--tree", "--format", "json"), "json is written in full"),
        (("--tree", "--top", "2"), "leave out --top or --tree"),
    ],
)
def test_bad_output(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str) -> None:
    kept = tmp_path / "costs.md"
    kept.write_text("before")
    code, out, err = run(capsys, "lenet.models:Regular", *(word.format(tmp_path) for word in words))
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert kept.read_text() == "before"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    code, _, err = run(capsys, "lenet.models:Regular", "-o", tmp_path / "costs.md")
    assert code == 2
    assert "no permission" in err


def test_no_permission_is_said_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *words: False)
    with pytest.raises(InputError, match="no permission to write in the folder"):
        write(str(tmp_path / "costs.md"), "")


def test_forms_by_name() -> None:
    assert form_of("a.b.SpeedScope.JSON") == "speedscope"
    with pytest.raises(InputError, match=re.escape("'json'")):
        form_of("json")


# HTML


class Cells(HTMLParser):
    """The texts of a table's cells, and every tag there is."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_html_has_the_cells_of_the_table(regular: Profile) -> None:
    parsed = Cells()
    parsed.feed(render(regular, "html"))
    cells = [[cell.strip() for cell in row] for row in parsed.rows]
    assert cells[0][:3] == ["layer", "type", "output"]
    assert ["conv1", "Conv2d", "1x6x28x28", "156", "117,600", "117,600", "117,600", "28.1 %"] in cells


def test_html_is_not_what_a_name_makes_of_it() -> None:
    hostile = net(layer("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", ops=OpCount(1)), name="<b>&amp;")
    for subject in (hostile, compare(hostile, hostile)):
        parsed = Cells()
        parsed.feed(render(subject, "html") + subject._repr_html_())
        assert parsed.tags == {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert "&lt;b&gt;&amp;amp;" in render(hostile, "html")


# Saved profiles


def test_a_saved_profile_is_a_target(tmp_path: Path, capsys: pytest.CaptureFixture[str], regular: Profile) -> None:
    path = tmp_path / "saved.json"
    assert run(capsys, "lenet.models:Regular", "-o", path)[0] == 0
    assert load_profile(str(path)).layers == regular.layers
    code, out, _ = run(capsys, path)
    assert code == 0
    assert "416,520" in out
    assert f"read from {path}" in out
    code, out, _ = run(capsys, path, "lenet.models:Depthwise", "--only", "conv", "--tree")
    assert code == 0
    assert "± conv1" in out
    assert "Conv2d → DepthwiseSeparable" in out or "+   depthwise" in out


def test_what_is_no_saved_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str], regular: Profile) -> None:
    good = json.loads(regular.to_json())
    broken = {
        "other.json": ('{"a": 1}', "is not an opcount profile"),
        "list.json": ("[]", "is not an opcount profile"),
        "half.json": (regular.to_json()[:500], "this is not JSON"),
        "binary.json": (b"\xff\xfe\x00", "it is no text"),
        "newer.json": (json.dumps({**good, "schema": "opcount-profile/2"}), "this release reads opcount-profile/1"),
        "both.json": (compare(regular, regular).to_json(), "this JSON is a comparison"),
        "hole.json": (json.dumps({**good, "layers": [{}]}), "damaged"),
    }
    for name, (content, said) in broken.items():
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        code, out, err = run(capsys, path)
        assert (code, out) == (2, ""), name
        assert name in err
        assert said in err
    code, _, err = run(capsys, tmp_path / "nowhere.json")
    assert code == 2
    assert "No such file" in err
    assert run(capsys, tmp_path)[0] == 2


def test_errors_are_ours(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(SchemaError, match=r"a\.json"):
        load_profile(str(tmp_path / "a.json"))


def test_comparisons_as_json_tell_the_layers() -> None:
    data = json.loads(compare(profile(Regular()), profile(Depthwise())).to_json())
    assert data["schema"] == "opcount-comparison/1"
    layers = {tuple(each["paths"]): each for each in data["layers"]}
    assert layers[None, "conv1.depthwise"]["status"] == "added"
    assert layers["conv1", "conv1"]["types"] == ["Conv2d", "DepthwiseSeparable"]
    assert layers["fc1", "fc1"]["status"] == "same"
    for index in range(2):
        total = sum(int(each["ops"][index]["macs"]) for each in data["layers"] if each["ops"][index])
        assert total == data["total"]["ops"][index]["macs"]


# The schema as it is documented


def test_the_documented_schema_is_the_one_that_is_written(regular: Profile) -> None:
    """Every key of docs/json.md is written, and every key that is written is there."""
    text = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    example = Profile.from_json(re.search(r"```json\n(.*?)```", text, re.S)[1])
    assert example.complete
    assert json.loads(example.to_json()) == json.loads(re.search(r"```json\n(.*?)```", text, re.S)[1])

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return {*value, *(key for inner in value.values() for key in keys(inner))}
        return {key for inner in value for key in keys(inner)} if isinstance(value, list) else set()

    documented = set(re.findall(r"^\| `(\w+)`", text, re.M))
    numbers = {name for record in regular.layers for entry in record.entries for name, _ in entry.term.items}
    written = keys(json.loads(regular.to_json())) - numbers
    both = keys(json.loads(compare(regular, regular).to_json())) - numbers
    assert written <= documented
    assert documented == written | both | {"float", "name", "kind"}


# DataFrames


def test_dataframe(regular: Profile) -> None:
    pandas = pytest.importorskip("pandas")
    frame = regular.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.index.name == "layer"
    assert len(frame) == len(regular)
    assert frame.loc["conv1", "type"] == "Conv2d"
    assert frame["macs"].dtype == "int64"
    for figure, value in {**regular.ops.to_dict(), "total": regular.total, "params": regular.params}.items():
        assert frame[figure].sum() == value


def test_a_dataframe_keeps_counts_beyond_64_bits() -> None:
    pytest.importorskip("pandas")
    made = net(layer("a", ops=OpCount(10**30 + 1)), layer("b", ops=OpCount(1)))
    assert made.to_dataframe()["multiplications"].tolist() == [10**30 + 1, 1]
    assert len(net().to_dataframe()) == 0


@pytest.mark.parametrize(
    ("method", "missing", "said"),
    [
        ("to_dataframe", "pandas", "pip install pandas"),
        ("to_page", "jinja2", r"pip install 'opcount\[page\]'"),
    ],
)
def test_what_is_missing_is_named(method: str, missing: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=said):
        getattr(net(), method)()


def test_no_d3_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from opcount.report import page

    page._d3.cache_clear()
    monkeypatch.setattr(page.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="as mpld3 ships it"):
        net().to_page()


def test_two_reports_are_not_written_to_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = tmp_path / "a.html"
    assert cli.main(["lenet.models:Regular", "-o", str(one), "--html", f"{tmp_path}/./a.html"]) == 2
    assert "-o and --html both write to" in capsys.readouterr().err
    assert not one.exists()
