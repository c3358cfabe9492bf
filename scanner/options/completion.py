"""What a shell offers, when Tab is pressed, for values that click does not know itself."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from scanner.detector.bundled import bundled_models


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of bundled models, and files, which the shell itself looks up.

    The item that stands for files comes first: in bash it would otherwise take away the names before it.
    """
    names = [CompletionItem(name) for name in bundled_models() if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *names]
