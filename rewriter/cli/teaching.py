"""The verbs of teaching: teach, list and remove what a user taught."""

from pathlib import Path

import click

from rewriter.cli import ARTEFACT, main, plainly
from rewriter.cli.asking import LOCALE

WHO = click.option("--user", metavar="ID", help="Id of the user, as in the log.")
HOUSEHOLD = click.option("--household", metavar="ID", help="Id of a household: for all its users, not for --user alone.")


@main.command()
@ARTEFACT
@click.argument("said")
@click.argument("meant", nargs=-1, required=True)
@WHO
@HOUSEHOLD
@LOCALE
@click.option("--joined-by", metavar="TEXT", help='What stands between several MEANT, such as " and ".')
@click.option("--confirm", is_flag=True, help="Keep it although it destroys, buys or unlocks something SAID does not ask for.")
@plainly
def teach(
    artefact: Path,
    said: str,
    meant: tuple[str, ...],
    user: str | None,
    household: str | None,
    locale: str | None,
    joined_by: str | None,
    confirm: bool,
) -> None:
    """Teach that SAID means MEANT, for one user or one household, from the next request on.

    It holds before all rules, in every process that serves DIR, and is never shared. Several MEANT are steps.

    \b
    Examples:
      rewriter teach artefact "movie time" "turn on the tv" --user ann
      rewriter teach artefact "movie time" "dim the lights" "turn on the tv" --joined-by " and " --user ann
      rewriter teach artefact "bedtime" "turn off the lamp" --household home-7
    """
    from rewriter import terminal
    from rewriter.messages import caution
    from rewriter.operate.teach import teach as keep
    from rewriter.text import unspaced

    steps = list(meant)
    found = keep(artefact, said, steps, user_id=user, household_id=household, locale=locale, joined_by=joined_by, confirm=confirm)
    for each in found.cautions:
        terminal.line(f"note: {unspaced(caution(each.code, each.detail))}")
    lesson = found.lesson
    kept = f"{unspaced(lesson.said)!r} now means {lesson.meant!r}; id {lesson.id}"
    terminal.line(kept if found.stored else "nothing was kept")


@main.command()
@ARTEFACT
@WHO
@HOUSEHOLD
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@plainly
def lessons(artefact: Path, user: str | None, household: str | None, as_json: bool) -> None:
    """List what a user taught and prefers, or what was taught for a household.

    \b
    Examples:
      rewriter lessons artefact --user ann
      rewriter lessons artefact --user ann --household home-7 --json
    """
    import dataclasses

    from rewriter import terminal
    from rewriter.operate import teach as taught

    if user is None and household is None:
        raise click.UsageError("whose lessons? Name --user, --household or both")
    found = taught.lessons(artefact, user, household_id=household)
    liked = [] if user is None else taught.preferences(artefact, user)
    if as_json:
        document = {"lessons": list(map(dataclasses.asdict, found)), "preferences": list(map(dataclasses.asdict, liked))}
        click.echo(terminal.as_json(document))
        return
    if found:
        terminal.table("lessons", taught.COLUMNS, [taught.row(lesson) for lesson in found], whole=taught.COLUMNS[:1])
    if liked:
        rows = [(one.id, one.slot, one.value, one.over) for one in liked]
        terminal.table("preferences", taught.PREFERENCE_COLUMNS, rows, whole=taught.PREFERENCE_COLUMNS[:1])
    if not found and not liked:
        terminal.line("nothing was taught")


@main.command()
@ARTEFACT
@click.argument("text")
@click.option("--user", metavar="ID", required=True, help="Id of the user, as in the log.")
@LOCALE
@plainly
def prefer(artefact: Path, text: str, user: str, locale: str | None) -> None:
    """Keep the preference that TEXT states, such as "i'm a warriors fan", for one user.

    It decides what requests of this user leave open, over the slots that the log and the catalog know.

    \b
    Examples:
      rewriter prefer artefact "i like italian restaurants" --user ann
      rewriter prefer artefact "my room is the office" --user ann
    """
    from rewriter import terminal
    from rewriter.operate.teach import prefer as keep

    found = keep(artefact, text, user_id=user, locale=locale)
    if found.preference is not None:
        terminal.line(f"{user} prefers {found.preference.slot}: {found.preference.value}; id {found.preference.id}")
    elif found.choices:
        terminal.line(f"nothing was kept; it may mean {', '.join(f'{slot}: {value}' for slot, value in found.choices)}")
    else:
        terminal.line("nothing was kept: no slot of the log or the catalog has such a value")


@main.command()
@ARTEFACT
@click.argument("lesson")
@plainly
def unteach(artefact: Path, lesson: str) -> None:
    """Remove a LESSON or preference, given by its id (see `rewriter lessons`).

    \b
    Examples:
      rewriter unteach artefact 1f3a5c7e9b2048d6
    """
    from rewriter import terminal
    from rewriter.operate.teach import unteach as remove

    unknown = f"no lesson has the id {lesson}; rewriter lessons {artefact} --user ID lists them"
    terminal.line("removed" if remove(artefact, lesson) else unknown)
