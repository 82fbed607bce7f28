"""Manifests of trusted documents, which map ids to document texts.

Two formats are supported. relay-compiler's ``persistConfig`` and graphql-codegen's ``persisted-documents.json`` are
flat objects of ids and texts. Apollo's generator writes a list of operations, each with ``id`` and ``body``.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

# The header that Apollo's generator writes (@apollo/generate-persisted-query-manifest).
APOLLO_FORMAT, APOLLO_VERSION = "apollo-persisted-query-manifest", 1

# An id that is marked as the SHA-256 of the text, or looks like one.
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})|sha256:.*", re.DOTALL)

# Enough of an id to find it in the file (our choice).
MAX_SHOWN_CHARACTERS = 80


def read_manifest(path: str) -> dict[str, str]:
    """Return the texts in the file at ``path`` by id. Raises ValueError with one problem per line."""
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ValueError(f"the file cannot be read ({(error.strerror or 'no such file').lower()})") from None
    except (ValueError, RecursionError):
        raise ValueError("the file is not JSON in UTF-8") from None
    entries, faults = _entries(document)
    texts: dict[str, str] = {}
    for identifier, text in entries:
        fault = fault_of(identifier, text)
        if fault is None and texts.get(identifier, text) != text:
            fault = "another document has the same id"
        if fault is None:
            texts[identifier] = text
        else:
            faults.append(f"{shown(identifier)}: {fault}")
    if not entries and not faults:
        faults.append("the file has no documents, so that nothing could run; unset it to allow all operations")
    if faults:
        raise ValueError("\n".join(faults))
    return texts


def fault_of(identifier: Any, text: Any) -> str | None:
    """Return what is wrong with an entry, or None."""
    if not isinstance(identifier, str) or not identifier:
        return "its id is not text"
    if not isinstance(text, str) or not text.strip():
        return "its document is not text"
    claim = _SHA256.fullmatch(identifier)
    if claim and claim[1] != hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest():
        return "its id is not the SHA-256 of its text; generate the manifest again instead of editing it"
    return None


def shown(identifier: Any) -> str:
    """Return an id as shown in messages."""
    text = json.dumps(identifier)
    return f"document {text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + '…'}"


def _entries(document: Any) -> tuple[list[tuple[Any, Any]], list[str]]:
    """Return the unchecked ids and texts, and the problems of the file as a whole."""
    if not isinstance(document, dict):
        return [], ["the file is neither an object of ids and documents nor Apollo's manifest"]
    if "format" not in document:
        return list(document.items()), []
    if (document["format"], document.get("version")) != (APOLLO_FORMAT, APOLLO_VERSION):
        return [], [f"the file's format is not {APOLLO_FORMAT}, version {APOLLO_VERSION}"]
    operations = document.get("operations")
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        return [], ["the file's 'operations' are not a list of objects"]
    return [(operation.get("id"), operation.get("body")) for operation in operations], []
