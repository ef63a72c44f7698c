"""python -m app doctor: what is wrong with this set-up, and the fix, one line each."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime

from app.environment import Environment
from app.operations.setup_check import Doctor, Finding, Level, next_step, worst


def run_doctor(environment: Environment, arguments: argparse.Namespace) -> int:
    """Look at everything, print it: 0 in health and with mere warnings, 1 where something fails."""
    findings = asyncio.run(Doctor(environment, now=_utc_now).findings())
    if arguments.json:
        found = [asdict(finding) for finding in findings]
        print(json.dumps({"worst": worst(findings), "next": next_step(findings), "findings": found}))
    else:
        print("\n".join(map(line, findings)))
        print(f"\nNext: {next_step(findings) or 'nothing, all is well.'}")
    return int(worst(findings) is Level.FAIL)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def line(finding: Finding) -> str:
    """A finding for people."""
    fix = f" Fix: {finding.fix}" if finding.fix else ""
    says = finding.says if finding.says.endswith(".") or not fix else f"{finding.says}."
    return f"{finding.level.value:<5} {finding.about:<10} {says}{fix}"
