"""The template language: Jinja2 in an emptied sandbox, with the dialect of Tera.

Source: workflow language, section 2; decision 5; security S9 and S10.
"""

from chalicelib.domain.template.reads import keys_read, uses_filter
from chalicelib.domain.template.renderer import (
    Renderer,
    check,
    context_name,
    has_template,
    is_plain_path,
    names_used,
)
from chalicelib.domain.template.shell import unquoted_in_shell
from chalicelib.domain.template.specs import Functions

__all__ = [
    "Functions",
    "Renderer",
    "check",
    "context_name",
    "has_template",
    "is_plain_path",
    "keys_read",
    "names_used",
    "unquoted_in_shell",
    "uses_filter",
]
