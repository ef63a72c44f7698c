"""Setting everything up: from a dozen answers to a live widget.

`answers` is what is asked, and studio.toml; `Setup` looks what there is, says what it would do, and does it. Each step
finds what an earlier run has done, so that it can be broken off anywhere and run again.
"""

from app.operations.setup.answers import AnswersError, StudioAnswers, check_answers, read_answers
from app.operations.setup.files import FileChange, studio_change
from app.operations.setup.scheduler_access import CREDENTIALS, SchedulerAccess, scheduler_of
from app.operations.setup.setup import Done, Paths, Setup, SetupPlan
from app.operations.setup.world import SetupRefused, SetupWorld
from app.scheduling.connect import PROVIDERS

__all__ = [
    "CREDENTIALS",
    "PROVIDERS",
    "AnswersError",
    "Done",
    "FileChange",
    "Paths",
    "SchedulerAccess",
    "Setup",
    "SetupPlan",
    "SetupRefused",
    "SetupWorld",
    "StudioAnswers",
    "check_answers",
    "read_answers",
    "scheduler_of",
    "studio_change",
]
