"""`Learner`: runs `rewriter learn` and `rewriter forget` as side processes, which may be another Python than Home Assistant's."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .catalog import names_of, rows, sentences_of
from .const import DOMAIN
from .turns import TurnLog

_HELD_BACK: Final = 3
"""What `rewriter learn` ends with if the guard holds the new version back."""
_UNKNOWN: Final = 4
"""What `rewriter forget` ends with if nobody has the id: who never spoke here has nothing to erase."""
_NICE: Final = 10
"""How much the side process steps back behind everything else."""
_LAST_LINES: Final = 30
"""Lines of its report that a service call returns."""


class Learner:
    """Learns from the turns of this home and forgets users, one at a time.

    Args:
        hass: Home Assistant.
        folder: ``<config>/rewriter``: ``artefact``, ``catalog.jsonl``, and ``settings.toml`` with settings of rewriter, if any.
        turns: the log.
        command: how rewriter is called; empty for the Python that runs Home Assistant.
    """

    def __init__(self, hass: HomeAssistant, folder: Path, turns: TurnLog, command: str) -> None:
        self._hass, self._folder, self._turns = hass, folder, turns
        self._command = shlex.split(command) if command else own_command()
        self._one = asyncio.Lock()
        self.artefact = folder / "artefact"

    @property
    def can_learn(self) -> bool:
        """Whether there is something to learn with: a command, or duckdb beside Home Assistant."""
        return bool(self._command)

    async def learn(self, languages: Sequence[str], keep_days: int, then: Callable[[], None]) -> dict[str, Any]:
        """Learn from all turns so far and from what can be said in this home; serving moves on by itself.

        Args:
            languages: of the catalog.
            keep_days: files of turns that are older are deleted after they were learned from.
            then: run in the executor in the end.

        Returns:
            ``held_back``: whether the new version is not served; ``texts`` of the catalog; ``report``, the last lines.

        Raises:
            HomeAssistantError: there is nothing to learn with, or it failed; says why.
        """
        async with self._one:
            texts = await self._write_catalog(languages)
            logs = await self._hass.async_add_executor_job(self._turns.seal)
            settings = self._folder / "settings.toml"
            has_settings = await self._hass.async_add_executor_job(settings.exists)
            code, told = await self._run(
                "learn",
                *map(str, logs),
                *(["--catalog", str(self._catalog)] if texts else []),
                *(["--config", str(settings)] if has_settings else []),
                "--out",
                str(self.artefact),
                good=(0, _HELD_BACK),
            )
            await self._hass.async_add_executor_job(self._turns.drop_older, keep_days)
            await self._hass.async_add_executor_job(then)
        return {"held_back": code == _HELD_BACK, "texts": texts, "report": told.splitlines()[-_LAST_LINES:]}

    async def forget(self, user_id: str) -> dict[str, Any]:
        """Take one user out of the artefact and the turns.

        Raises:
            HomeAssistantError: it failed; says why.
        """
        async with self._one:
            logs = await self._hass.async_add_executor_job(self._turns.seal)
            if not await self._hass.async_add_executor_job((self.artefact / "CURRENT").exists):
                lines = await self._hass.async_add_executor_job(self._turns.drop_user, user_id)
                return {"report": [f"{lines} turns"]}
            named = [part for path in logs for part in ("--logs", str(path))]
            _, told = await self._run("forget", *named, "--", user_id, str(self.artefact), good=(0, _UNKNOWN))
        return {"report": told.splitlines()[-_LAST_LINES:]}

    @property
    def _catalog(self) -> Path:
        return self._folder / "catalog.jsonl"

    async def catalog_rows(self, languages: Sequence[str]) -> list[dict[str, Any]]:
        """Return what can be said in this home, in the columns of a catalog."""
        found = [await sentences_of(self._hass, language) for language in languages]
        names = names_of(self._hass)

        def every() -> list[dict[str, Any]]:
            return [row for each in found if each is not None for row in rows(each, names)]

        return await self._hass.async_add_executor_job(every)

    async def _write_catalog(self, languages: Sequence[str]) -> int:
        """Write what can be said in this home; return how many texts."""
        said = await self.catalog_rows(languages)

        def write() -> None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._catalog, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in said)

        await self._hass.async_add_executor_job(write)
        return len(said)

    async def _run(self, *arguments: str, good: Sequence[int] = (0,)) -> tuple[int, str]:
        """Run a verb of rewriter; return its exit code and what it printed."""
        if not self._command:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="no_command")
        try:
            process = await asyncio.create_subprocess_exec(
                *_step_back(),
                *self._command,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            raise _failed(self._command[0], str(error)) from error
        try:
            raw, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            raise
        told = raw.decode("utf-8", "replace").strip()
        if process.returncode not in good:
            raise _failed(arguments[0], told.splitlines()[-1] if told else f"exit code {process.returncode}")
        return process.returncode or 0, told


def _failed(what: str, why: str) -> HomeAssistantError:
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key="failed", translation_placeholders={"what": what, "why": why}
    )


def own_command() -> list[str]:
    """Return the Python of Home Assistant if it has what learning needs, else nothing."""
    return [sys.executable, "-m", "rewriter.cli"] if importlib.util.find_spec("duckdb") else []


def _step_back() -> list[str]:
    """Return what lets a command step back behind Home Assistant, where the system has it."""
    nice = shutil.which("nice")
    return [nice, "-n", str(_NICE)] if nice else []
