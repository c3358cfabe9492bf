"""Click commands that refuse contradictory command lines and take options from the environment and a file, too."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from scanner.detector.bundled import bundled_models
from scanner.errors import FacescanError, NobodyReadsError
from scanner.options.config import ENV_PREFIX, Configuration, for_click, read_configuration, unknown_variables

# Options that only the command line sets.
ACTIONS = frozenset({"version", "cache_info", "cache_clear", "list_models", "isolated"})
# Columns of an option and its value in the help; a longer one has its help text on the next line.
_OPTION_WIDTH = 26


def print_out(text: str) -> None:
    """Print on standard output, at once.

    Raises:
        NobodyReadsError: its reader is gone.
        FacescanError: it cannot be written to.
    """
    try:
        click.echo(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise NobodyReadsError from error
    except OSError as error:
        raise FacescanError(f"standard output: {error.strerror}") from error


class Command(click.Command):
    """Refuses an option that takes one value and is given two: which of them was meant, nobody knows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:  # that is how click completes a line
            given = self._given(ctx, args)
            help_option = self.get_help_option(ctx)
            if help_option and help_option.name in given:
                print_out(ctx.get_help())
                ctx.exit()
            for option in self._of_one_value():
                _check_same(ctx, option, given.get(_name(option), []))
            self.prepare(ctx, given)
        return super().parse_args(ctx, args)

    def prepare(self, ctx: click.Context, given: Mapping[str, Any]) -> None:
        """Find out, before click reads any value, where it may look for values.

        Args:
            ctx: of this command.
            given: what the command line says, by the parameters' names; of options that take one value, in a list.
        """

    def _given(self, ctx: click.Context, args: Sequence[str]) -> dict[str, Any]:
        parser = self.make_parser(ctx)
        for option in self._of_one_value():  # of each of them the parser would keep the last value only
            parser.add_option(obj=option, opts=option.opts, dest=option.name, action="append")
        given, _, _ = parser.parse_args(args=list(args))
        return given

    def _of_one_value(self) -> list[click.Option]:
        options = [param for param in self.params if isinstance(param, click.Option)]
        return [option for option in options if not (option.is_flag or option.multiple or option.count)]


class GroupedCommand(Command):
    """Shows the options below headings in its help, with the help texts of all groups in one column."""

    def __init__(self, *args: Any, groups: Mapping[str, str], **kwargs: Any) -> None:
        """Create the command.

        Args:
            args: positional arguments of `click.Command`.
            groups: heading -> names of its options, without leading dashes and with blanks between them. Options that
                are in no group come last.
            kwargs: other arguments of `click.Command`.
        """
        super().__init__(*args, **kwargs)
        self._groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group as a section of its own."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        rows = {max(option.opts, key=len).lstrip("-"): option.get_help_record(ctx) for option in options}
        sections = {heading: [rows.pop(name) for name in names.split()] for heading, names in self._groups.items()}
        sections["Other options"] = list(rows.values())
        for heading, section in sections.items():
            lines = [(row[0].ljust(_OPTION_WIDTH), row[1]) for row in section if row]
            if lines:
                with formatter.section(heading):
                    formatter.write_dl(lines, _OPTION_WIDTH)


class ConfiguredCommand(GroupedCommand):
    """Takes options also from a configuration file and, unless --isolated is given, from variables.

    It needs the options `config`, `isolated` and `model` and the argument `paths`. The context's `obj` is the
    `Configuration`.
    """

    def prepare(self, ctx: click.Context, given: Mapping[str, Any]) -> None:
        config = next(param for param in self.params if param.name == "config")
        named = next(iter(given.get("config", [])), None)
        if given.get("isolated"):
            if named is not None:
                raise click.UsageError("--isolated and --config exclude each other: give one.", ctx)
            for name in [name for name in os.environ if name.startswith(f"{ENV_PREFIX}_")]:
                del os.environ[name]  # also those that are no options, and for the processes that a scan starts
            ctx.obj = Configuration()
            return
        configuration = read_configuration(named or config.resolve_envvar_value(ctx), _texts(given.get("paths")))
        options = [p for p in self.params if isinstance(p, click.Option) and p.name not in ACTIONS]
        kinds = {_name(option).replace("_", "-"): _kind(option) for option in options if option is not config}
        ctx.default_map = {**for_click(configuration, kinds, bundled_models()), **(ctx.default_map or {})}
        unknown = unknown_variables(os.environ, map(_name, options))
        ctx.obj = replace(configuration, warnings=(*configuration.warnings, *unknown))


def _texts(given: object) -> list[str]:
    """The values of an argument; click has a value of its own for one that is not given."""
    return [value for value in given if isinstance(value, str)] if isinstance(given, list | tuple) else []


def _name(option: click.Option) -> str:
    return option.name or ""  # it has one


def _kind(option: click.Option) -> str:
    """What a configuration file may say of an option: true or false, several values, or one."""
    return "flag" if option.is_flag else "values" if option.multiple else "value"


def _check_same(ctx: click.Context, option: click.Option, values: Sequence[str]) -> None:
    if len(set(values)) > 1:
        name = max(option.opts, key=len)
        one, other = list(dict.fromkeys(values))[:2]
        raise click.UsageError(f"{name} takes one value, and is given {one!r} and {other!r}.", ctx)
