"""numpy is imported with views, not with the gateway."""

from __future__ import annotations

import subprocess
import sys


def test_the_gateway_starts_without_numpy() -> None:
    """Importing numpy takes 0.3 seconds."""
    program = "import sys, gateway.composition; print('numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_the_values_that_describe_a_view_need_no_numpy() -> None:
    """The schema imports them at the start."""
    names = ", ".join(f"gateway.views.{name}" for name in ("conditions", "order_term", "refinement", "search_words"))
    program = f"import sys, {names}; print('numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
