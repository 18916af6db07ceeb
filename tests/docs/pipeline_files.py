"""What a Snakemake rule and a Nextflow process would run, read from their files without either.

Rules are Python by definition, and are evaluated here as Snakemake would do it. They come
from the project's own files alone.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PIPELINES = Path(__file__).resolve().parents[2] / "docs" / "pipelines"


class Name(str):
    """A value in a shell block of Snakemake: ``{name:q}`` quotes it for the shell."""

    def __format__(self, how: str) -> str:
        """Return the value, quoted if ``how`` is ``q``."""
        return shlex.quote(self) if how == "q" else format(str(self), how)


@dataclass(frozen=True)
class Step:
    """A block for the shell, and the files that it is said to write."""

    shell: str
    outputs: tuple[Path, ...]


def configuration(samples: Path) -> dict[str, Any]:
    """Return the configuration that ``Snakefile`` makes, and the files that it asks for."""
    text = (PIPELINES / "Snakefile").read_text()
    before, _, after = text.partition("\nrule all:")
    found: dict[str, Any] = {"config": {"samples": str(samples)}}
    exec(before, found)
    wanted = re.findall(r'^        "(.+)",$', after, flags=re.M)
    return {**found["config"], "wanted": wanted}


def snakemake_step(rule: str, config: Mapping[str, Any], **wildcards: str) -> Step:
    """Return what ``rule`` of ``mtm.smk`` runs for these wildcards."""
    text = (PIPELINES / "mtm.smk").read_text()
    (body,) = re.findall(rf"^rule {rule}:\n((?:(?:    .*)?\n)+)", text, flags=re.M)
    parts = re.split(r"^    (\w+):", body, flags=re.M)[1:]
    given = {
        name: eval(f"_both({value.strip()}\n)", {"_both": _both, "config": config})
        for name, value in zip(parts[::2], parts[1::2], strict=True)
    }
    known = SimpleNamespace(**wildcards)

    def filled(section: str) -> Any:
        plain, named = given[section]
        if named:
            values = {k: v(known) if callable(v) else v for k, v in named.items()}
            return SimpleNamespace(**{k: Name(v) for k, v in values.items()})
        return Name(plain[0].format(**wildcards))

    sections = {name: filled(name) for name in ("input", "output", "params", "log")}
    (shell,), _ = given["shell"]
    threads = given["threads"][0][0] if "threads" in given else 1
    return Step(
        shell.format(**sections, threads=threads), (Path(sections["output"]), Path(sections["log"]))
    )


def nextflow_step(**values: str) -> Step:
    """Return what the process of ``mtm_predict.nf`` runs, with ``values`` for its variables."""
    text = (PIPELINES / "mtm_predict.nf").read_text()
    (script,) = re.findall(r'"""\n(.*?)"""', text, flags=re.S)
    (outputs,) = re.findall(r"output:\n(.*?)\n\n", text, flags=re.S)
    files = re.findall(r"""path\(?\s*["'](.+?)["']""", outputs)
    shell = _of_groovy(script, values)
    return Step(shell, tuple(Path(_of_groovy(name, values)) for name in files))


def _both(*plain: Any, **named: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return plain, named


def _of_groovy(text: str, values: Mapping[str, str]) -> str:
    """Evaluate a double-quoted string of Groovy: ``$name``, ``${name}``, and a backslash before."""

    def one(match: re.Match[str]) -> str:
        escaped, braced, bare = match.groups()
        return escaped or values[braced or bare]

    variable: Callable[[re.Match[str]], str] = one
    return re.sub(r"\\(.)|\$\{([\w.]+)\}|\$(\w+(?:\.\w+)*)", variable, text)
