"""`chatd check`: is this server fit to run? Looks only, repairs nothing."""

from datetime import UTC, datetime
from pathlib import Path

import click

from chatd.admin_api import CheckResult, decode
from chatd.certificate import FILE_NAME, CertificateError
from chatd.commands import render
from chatd.commands.access import Access, with_access
from chatd.commands.exits import EXIT_FAILED
from chatd.tls import TlsContexts

SOON_S = 14 * 86_400
"""A fortnight: time enough to renew a certificate by hand."""


@click.command()
@click.option("--json", "json_", is_flag=True, help="One JSON list.")
@with_access
def check(access: Access, json_: bool) -> None:
    """Check configuration, data folder, certificate and database."""
    results = [CheckResult("configuration", True, "every setting is understood")]
    if access.folder.exists():
        results.append(_modes(access.folder))
        if not access.config.server.plaintext:
            results.append(_certificate(access))
        results += decode(CheckResult, access.ask("check"))
    else:
        detail = f"{access.folder} does not exist; `chatd run` makes it"
        results.append(CheckResult("data folder", True, detail))
    click.echo(render.as_json(results) if json_ else render.checks(results))
    if not all(result.ok for result in results):
        raise SystemExit(EXIT_FAILED)


def _modes(folder: Path) -> CheckResult:
    lax = sorted(
        str(path)
        for path in (folder, *folder.iterdir())
        if not path.is_symlink() and path.stat().st_mode & 0o077
    )
    if lax:
        return CheckResult("data folder", False, f"others can reach {', '.join(lax)}")
    return CheckResult("data folder", True, f"{folder} is private")


def _certificate(access: Access) -> CheckResult:
    tls = access.config.tls
    path = Path(tls.certificate) if tls.certificate else access.folder / FILE_NAME
    if not tls.certificate and not path.exists():
        return CheckResult("certificate", True, "self-signed; made at first start")
    try:
        key = Path(tls.key) if tls.key else None
        info = TlsContexts(path, key, tls.minimum_version).current
    except CertificateError as error:
        return CheckResult("certificate", False, str(error))
    now_s = int(datetime.now(UTC).timestamp())
    until = render.when(info.not_after_s * 1000)
    if now_s < info.not_before_s:
        since = render.when(info.not_before_s * 1000)
        return CheckResult("certificate", False, f"not valid before {since} UTC")
    if now_s > info.not_after_s:
        return CheckResult("certificate", False, f"expired on {until} UTC")
    if now_s > info.not_after_s - SOON_S:
        return CheckResult("certificate", False, f"expires on {until} UTC: renew it now")
    return CheckResult("certificate", True, f"valid until {until} UTC")
