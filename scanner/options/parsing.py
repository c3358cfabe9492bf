"""Defines click commands that refuse contradictory command lines, and take options from the environment and a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from scanner.detector.bundled import bundled_models
from scanner.errors import FacescanError, NobodyReadsError
from scanner.options.config import ENV_PREFIX, Configuration, as_default_map, read_configuration, unknown_variables

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
    """Refuses two different values of an option that takes one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments after checking that no option has two values; see `click.Command`."""
        if not ctx.resilient_parsing:  # which click does to complete a line
            given = self._given(ctx, args)
            help_option = self.get_help_option(ctx)
            if help_option and help_option.name in given:
                print_out(ctx.get_help())
                ctx.exit()
            for option in self._single_value_options():
                _refuse_contradiction(ctx, option, given.get(_name(option), []))
            self.prepare(ctx, given)
        return super().parse_args(ctx, args)

    def prepare(self, ctx: click.Context, given: Mapping[str, Any]) -> None:
        """Prepare the context before click reads values; called with the command line already split.

        Args:
            ctx: of this command.
            given: values on the command line by parameter name; those of options that take one value are in a list.
        """

    def _given(self, ctx: click.Context, args: Sequence[str]) -> dict[str, Any]:
        """Return the values on the command line by parameter name."""
        parser = self.make_parser(ctx)
        for option in self._single_value_options():  # whose first values the parser would drop
            parser.add_option(obj=option, opts=option.opts, dest=option.name, action="append")
        given, _, _ = parser.parse_args(args=list(args))
        return given

    def _single_value_options(self) -> list[click.Option]:
        """Return the options that take exactly one value."""
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
    """Takes options also from a configuration file and, without --isolated, from variables.

    The command needs the options `config`, `isolated` and `model` and the argument `paths`. The context's `obj` becomes
    the `Configuration`.
    """

    def prepare(self, ctx: click.Context, given: Mapping[str, Any]) -> None:
        """Read the configuration and make it click's default values."""
        config = next(param for param in self.params if param.name == "config")
        named = next(iter(given.get("config", [])), None)
        if given.get("isolated"):
            if named is not None:
                raise click.UsageError("--isolated and --config exclude each other: give one.", ctx)
            for name in [name for name in os.environ if name.startswith(f"{ENV_PREFIX}_")]:
                del os.environ[name]  # including those that are not options; for child processes, too
            ctx.obj = Configuration()
            return
        configuration = read_configuration(named or config.resolve_envvar_value(ctx), _texts(given.get("paths")))
        options = [p for p in self.params if isinstance(p, click.Option) and p.name not in ACTIONS]
        kinds = {_name(option).replace("_", "-"): _value_kind(option) for option in options if option is not config}
        ctx.default_map = {**as_default_map(configuration, kinds, bundled_models()), **(ctx.default_map or {})}
        unknown = unknown_variables(os.environ, map(_name, options))
        ctx.obj = replace(configuration, warnings=(*configuration.warnings, *unknown))


def _texts(given: object) -> list[str]:
    """Return the values of an argument; click has a special value for an argument that is not given."""
    return [value for value in given if isinstance(value, str)] if isinstance(given, list | tuple) else []


def _name(option: click.Option) -> str:
    return option.name or ""  # never empty


def _value_kind(option: click.Option) -> str:
    """Return the kind of value that a configuration file may give an option: `flag`, `values` or `value`."""
    return "flag" if option.is_flag else "values" if option.multiple else "value"


def _refuse_contradiction(ctx: click.Context, option: click.Option, values: Sequence[str]) -> None:
    """Raise click.UsageError if an option that takes one value has two different ones."""
    if len(set(values)) > 1:
        name = max(option.opts, key=len)
        one, other = list(dict.fromkeys(values))[:2]
        raise click.UsageError(f"{name} takes one value, but was given {one!r} and {other!r}: give one.", ctx)
