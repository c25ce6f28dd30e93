"""Runs the contract of every transport and writes what passed into docs/reference/transports.md.

`make services && python -m scripts.transport_table`: one pytest run, every transport x scenario,
against the real servers. The exit code is that of the run; nothing is written if it failed.
"""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "transports.md"
BEGIN, END = "<!-- contract: begin -->", "<!-- contract: end -->"

Results = dict[str, dict[str, list[str]]]
"""Outcomes by scenario and transport; more than one where a scenario has parameters."""


def main() -> int:
    """Run the suite and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "contract.xml"
        command = ["pytest", "-q", "-p", "no:randomly", "tests/contract", "-k", "Transport"]
        code = subprocess.run(
            [sys.executable, "-m", *command, f"--junitxml={report}"], cwd=ROOT, check=False
        ).returncode
        if code:
            print("the contract is not kept, or a server is missing: nothing was written")
            return code
        write(table(read(report)))
    return 0


def read(report: Path) -> Results:
    """Return what a run's JUnit report says of the classes named Test...Transport."""
    found: Results = defaultdict(lambda: defaultdict(list))
    for case in ET.parse(report).iter("testcase"):
        _, _, owner = (case.get("classname") or "").rpartition(".")
        if not (owner.startswith("Test") and owner.endswith("Transport")):
            continue
        scenario = (case.get("name") or "").partition("[")[0]
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        transport = owner.removeprefix("Test").removesuffix("Transport")
        found[scenario][transport].append(kinds[0] if kinds else "passed")
    return found


def table(results: Results) -> str:
    """Return the table as Markdown: a row a scenario, a column a transport."""
    transports = sorted({name for row in results.values() for name in row})
    lines = [
        f"| scenario | {' | '.join(transports)} |",
        f"|---|{'---|' * len(transports)}",
    ]
    for scenario in sorted(results):
        cells = [_cell(results[scenario].get(name, [])) for name in transports]
        words = scenario.removeprefix("test_").replace("_", " ")
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(outcomes: list[str]) -> str:
    others = [outcome for outcome in outcomes if outcome != "passed"]
    if others:
        return others[0]
    if not outcomes:
        return "not run"
    return "passed" if len(outcomes) == 1 else f"passed, {len(outcomes)} cases"


def write(text: str) -> None:
    """Put the table on the page, between its marks."""
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
