"""What an examination found: findings, and the report that holds them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
EXIT_CODES = {"error": 2, "warning": 1, "note": 0}
SHOWN_FILES = 4

# File names need not be valid text; what is not becomes "?".
Text = Annotated[str, BeforeValidator(lambda text: text.encode(errors="replace").decode())]


class Finding(BaseModel):
    """One thing that is wrong, or worth knowing.

    Attributes:
        code: its name for programs, such as "size".
        severity: "error" breaks training or the figures, "warning" may harm them, "note" does not.
        what: what was found, a sentence.
        why: why it matters.
        mend: what to do about it: a command or a sentence; empty if nothing needs doing.
        files: the names of all pictures or masks concerned.
        details: for some of the files, what is wrong with each.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    severity: Severity
    what: Text
    why: Text
    mend: Text = ""
    files: list[Text] = []
    details: dict[Text, Text] = {}

    def text(self) -> str:
        """The finding as lines for a terminal."""
        lines = [f"{self.severity.upper()} [{self.code}] {self.what}"]
        if self.details:
            lines += [f"    {detail}" for detail in list(self.details.values())[:SHOWN_FILES]]
            if len(self.details) > SHOWN_FILES:
                lines.append(f"    and {len(self.details) - SHOWN_FILES} more (--json lists all)")
        elif self.files:
            lines.append(f"    {some(self.files)}")
        lines += textwrap.wrap(self.why, 96, initial_indent="    ", subsequent_indent="    ")
        if self.mend:
            lines.append(f"    -> {self.mend}")
        return "\n".join(map(printable, lines))

    def line(self) -> str:
        """What was found and where, in a line."""
        where = f" ({some(self.files)})" if self.files else ""
        return printable(f"{self.what}{where} {self.why}")


class ClassFigures(BaseModel):
    """How often a class occurs: share of the pixels that are not void, in [0, 1]; pictures."""

    name: Text
    share: float
    pictures: int


class Report(BaseModel):
    """What an examination found.

    Attributes:
        target: what was examined, as given to `data check`.
        pictures, masks: how many files.
        encoding: how the masks store their classes, in words; empty if it is unknown.
        classes: in the order of their ids; empty if they are unknown.
        void_share: share of all pixels that is void, in [0, 1].
        findings: errors first.
    """

    target: Text
    pictures: int
    masks: int
    encoding: Text = ""
    classes: list[ClassFigures] = []
    void_share: float = 0
    findings: list[Finding] = []

    def of(self, severity: Severity) -> list[Finding]:
        """The findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]

    @property
    def exit_code(self) -> int:
        """2 with errors, 1 with warnings, else 0."""
        return max((EXIT_CODES[finding.severity] for finding in self.findings), default=0)

    def text(self) -> str:
        """The report as lines for a terminal."""
        lines = [
            printable(f"{self.target}: {self.pictures} pictures, {self.masks} masks"),
            f"Encoding: {self.encoding or 'unknown'}",
        ]
        if self.classes:
            width = max(len(entry.name) for entry in self.classes) + 2
            lines.append(f"  id  {'class':{width}}  pixels  pictures")
            for number, entry in enumerate(self.classes):
                name = printable(entry.name)
                lines.append(
                    f" {number:3}  {name:{width}}{100 * entry.share:6.2f} %  {entry.pictures:8}"
                )
        if self.void_share:
            lines.append(f"  void: {100 * self.void_share:.2f} % of all pixels")
        for finding in self.findings:
            lines += ["", finding.text()]
        return "\n".join([*lines, "", self.verdict()])

    def verdict(self) -> str:
        """How many findings there are: "2 errors, 1 note"."""
        counts = [(len(self.of(severity)), severity) for severity in SEVERITIES]
        found = [f"{n} {severity}{'s' if n > 1 else ''}" for n, severity in counts if n]
        return ", ".join(found) or "Nothing is wrong."


def some(names: Iterable[str]) -> str:
    """The first few of some names, and how many more there are."""
    names = list(names)
    more = len(names) - SHOWN_FILES
    return ", ".join(names[:SHOWN_FILES]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, thing: str, things: str = "") -> str:
    """ "1 mask", "3 masks"."""
    return f"{number} {thing}" if number == 1 else f"{number} {things or thing + 's'}"


def printable(text: str) -> str:
    """The text without characters that would move a terminal's cursor or cannot be printed."""
    return "".join(c if c.isprintable() else "?" for c in text)
