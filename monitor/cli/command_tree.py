"""Commands as typer builds them, with help pages for people: no types of Python, and the global options everywhere."""

from collections.abc import Callable
from enum import Enum
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from monitor.cli.help_page import print_help, usage_name

_GLOBAL_OPTIONS = frozenset({"config"})


class CommandTree(typer.Typer):
    """A group of commands, or all of them."""

    def __init__(self, **given: Any) -> None:
        super().__init__(cls=_Group, **given)

    def command(self, name: str | None = None, **given: Any) -> Callable[[Any], Any]:
        return super().command(name, cls=_Command, **given)


class _Command(TyperCommand):
    def __init__(self, *arguments: Any, **given: Any) -> None:
        super().__init__(*arguments, **given)
        _name_values(self.params)

    def get_params(self, ctx: Any) -> list[Any]:
        return _with_global_options(super().get_params(ctx), ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return _usage_pieces(self, ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        print_help(self, ctx)


class _Group(TyperGroup):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        _name_values(self.params)

    def get_params(self, ctx: Any) -> list[Any]:
        return _with_global_options(super().get_params(ctx), ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*_usage_pieces(self, ctx), "[COMMAND] ..." if self.invoke_without_command else "COMMAND ..."]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        print_help(self, ctx)


def _name_values(params: list[Any]) -> None:
    """What stands for the value of each argument and option, where the command does not say."""
    for param in params:
        if param.metavar is None:
            param.metavar = _value_name(param)


def _value_name(param: Any) -> str:
    kind = param.type_descriptor
    if kind.choices:
        return "|".join(str(choice.value if isinstance(choice, Enum) else choice) for choice in kind.choices)
    if param.param_type_name == "option" and kind.is_path:
        return "FILE"
    if param.param_type_name == "option" and kind.annotation in (int, float):
        return "N"
    return str(param.name).upper().replace("_", "-")


def _usage_pieces(command: Any, context: Any) -> list[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    return ["[OPTIONS]", *map(usage_name, arguments)]


def _with_global_options(params: list[Any], context: Any) -> list[Any]:
    """Those of the program are accepted behind every command as well; the last of a command's own is `--help`."""
    if context.parent is None:
        return params
    everywhere = [one for one in context.find_root().command.params if one.name in _GLOBAL_OPTIONS]
    return [*params[:-1], *everywhere, *params[-1:]]
