"""What the source says about itself: docstrings, fields and the comments on their lines."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

_WIDEST = 88
_SECTION = re.compile(r"^(Raises|Args|Returns|Yields):\n", re.MULTILINE)


class Field(NamedTuple):
    """One annotated name in a class body."""

    name: str
    type: str
    default: str  # as written; empty: it has to be given
    comment: str


def fields(cls: type) -> list[Field]:
    """The annotated names of a class body, with the comment or the string that explains each."""
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    body = ast.parse(source).body[0].body  # type: ignore[attr-defined]  # it is a ClassDef
    found = []
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append(
                Field(
                    node.target.id,
                    ast.unparse(node.annotation),
                    ast.unparse(node.value) if node.value else "",
                    _comment(lines[node.end_lineno - 1]) or _text(following),
                )
            )
    return [field for field in found if not field.name.startswith("_")]


def _comment(line: str) -> str:
    _, mark, comment = line.partition("  # ")
    return comment.strip() if mark else ""


def _text(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return " ".join(str(node.value.value).split())
    return ""


def described(thing: object) -> str:
    """A docstring as Markdown: sections such as `Raises:` become lists."""
    text = inspect.getdoc(thing) or ""
    parts = _SECTION.split(text)
    out = [parts[0].strip()]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        items = re.split(r"^    (?=\S)", body, flags=re.MULTILINE)[1:]
        entries = [f"- {_entry(' '.join(item.split()))}" for item in items]
        out.append("\n".join([f"{title}:", "", *entries]))
    return "\n\n".join(out)


def _entry(item: str) -> str:
    name, colon, rest = item.partition(": ")
    return f"`{name}`: {rest}" if colon and re.fullmatch(r"[\w.*]+", name) else item


def signature(thing: Callable[..., object], name: str) -> str:
    """How a function, or a class, is called, as Python."""
    function = thing.__init__ if inspect.isclass(thing) else inspect.unwrap(thing)  # type: ignore[misc]
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    arguments = [_spaced(each) for each in _split(ast.unparse(node.args)) if each != "self"]
    returns = f" -> {_returned(node)}" if node.returns and not inspect.isclass(thing) else ""
    call = f"{name}({', '.join(arguments)}){returns}"
    if len(call) <= _WIDEST:
        return call
    inside = "".join(f"    {argument},\n" for argument in arguments)
    return f"{name}(\n{inside}){returns}"


def _returned(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    returns = ast.unparse(node.returns) if node.returns else ""
    decorators = {ast.unparse(each) for each in node.decorator_list}
    if "asynccontextmanager" in decorators:  # written as an iterator, used with `async with`
        return returns.replace("AsyncIterator", "AbstractAsyncContextManager")
    return f"Awaitable[{returns}]" if isinstance(node, ast.AsyncFunctionDef) else returns


def _split(arguments: str) -> list[str]:
    depth, parts = 0, [""]
    for letter in arguments:
        depth += (letter in "[(") - (letter in ")]")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _spaced(argument: str) -> str:
    """An annotated argument with its default as one writes it: `ast` leaves no blanks."""
    name, equals, default = argument.partition("=")
    return f"{name} = {default}" if equals and ":" in name else argument


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def code(text: str) -> str:
    """Text as code; empty text stays empty."""
    return f"`{text}`" if text else ""


def fields_table(cls: type) -> str:
    """The fields of a class as a table."""
    rows = [(code(f.name), code(f.type), code(f.default), f.comment) for f in fields(cls)]
    return table(("name", "type", "default", "what it is"), rows)
