"""Text that a spreadsheet would run as a formula, and how CSV files show it as text.

GraphiQL's page receives these patterns, so they must mean the same in Python and in JavaScript.
"""

from __future__ import annotations

import re
from typing import Final

# OWASP, "CSV Injection". Spreadsheets for Chinese, Japanese and Korean also run the full-width forms.
_OPERATORS = r"=+\-@\uFF1D\uFF0B\uFF0D\uFF20"

# Characters that spreadsheets may skip before a formula.
_SKIPPED = r'[ "\x00\x0B\x0C\x85\uFEFF]*'

# A cell that begins like a formula. Spreadsheets may drop a tab or line end in front of one.
FORMULA_START: Final = rf"^{_SKIPPED}[{_OPERATORS}\t\r\n]"

# A formula that begins a cell only in spreadsheets that split lines at more characters than the comma.
HIDDEN_FORMULA: Final = rf"[,;|\t\r\n]{_SKIPPED}(?=[{_OPERATORS}])"

# Both patterns, as GraphiQL's page receives them.
FORMULAS: Final = {"start": FORMULA_START, "hidden": HIDDEN_FORMULA}

_starts_like_formula = re.compile(FORMULA_START).match
_hidden_formula = re.compile(HIDDEN_FORMULA)


class HarmlessTexts(dict[str, str]):
    """Maps each text to the text to show: with a ``'`` in front of each formula.

    It remembers all texts, because most cells of a column repeat: keep it no longer than the rows.
    """

    def __missing__(self, text: str) -> str:
        harmless = _hidden_formula.sub(r"\g<0>'", text) if _hidden_formula.search(text) else text
        shown = self[text] = f"'{harmless}" if _starts_like_formula(text) else harmless
        return shown
