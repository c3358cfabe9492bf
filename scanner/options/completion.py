"""Completes option values in a shell, where click cannot."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from scanner.detector.bundled import bundled_models


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return completions of --model: names of bundled models, and files, which the shell looks up itself.

    The item that stands for files comes first: in bash it would otherwise remove the names before it.

    Args:
        ctx: of the command.
        param: the option.
        incomplete: what the user has typed so far.
    """
    names = [CompletionItem(name) for name in bundled_models() if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *names]
