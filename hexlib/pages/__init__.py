"""The pages that people look at: one file each, with style, script and pictures inside.

A page asks nothing of any other host, and its content security policy has the browser see to that:
only the scripts whose digests stand there run.
"""

import base64
import hashlib
import json
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

DATA = resources.files("hexlib") / "data" / "pages"


def render(template: str, scripts: tuple[str, ...], **content: Any) -> str:
    """The page of a template of `hexlib/data/pages`, as HTML.

    `scripts` are the files of that folder whose code the page runs, in their order. The template
    finds them joined as `script`, and as `script_digest` what its policy has to name.
    """
    environment = Environment(
        loader=PackageLoader("hexlib", "data/pages"),
        autoescape=True,  # names and reasons come from files
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embedded"] = embedded
    script = "\n".join(["", '"use strict";', *(_text(name) for name in scripts)])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        script=Markup(script), script_digest=Markup(f"'sha256-{digest}'"), **content
    )


def embedded(data: Any) -> Markup:
    """JSON for a `<script type="application/json">`, out of which no text can break."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def version() -> str:
    """Digest (16 hex digits) of all templates, styles and scripts, for rules that make a page."""
    digest = hashlib.sha256()
    for path in sorted(DATA.iterdir(), key=lambda path: path.name):
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _text(name: str) -> str:
    return (DATA / name).read_text(encoding="utf-8")
