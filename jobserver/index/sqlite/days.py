"""Numbers of each day, which triggers keep: of a workspace's requests on a branch, and of a branch's jobs.

Pages about the past read these instead of the requests and jobs, of which there may be hundreds of thousands. Times are
microseconds. A day is counted from 1970, in UTC.
"""

DAY = 86_400_000_000
_LATE = 3_600_000_000

TABLES = """
CREATE TABLE request_days (    -- by the day on which requests were created
    workspace TEXT NOT NULL,
    day INTEGER NOT NULL,
    branch INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    requests INTEGER NOT NULL,
    timed INTEGER NOT NULL,      -- those that ended
    ran INTEGER NOT NULL,        -- how long these ran, together
    started INTEGER NOT NULL,    -- those that started
    waited INTEGER NOT NULL,     -- how long these waited, together
    late INTEGER NOT NULL,       -- those of them that waited for more than an hour
    PRIMARY KEY (workspace, day, branch, outcome)
) WITHOUT ROWID;
CREATE TABLE job_days (        -- by the day on which jobs started
    branch INTEGER NOT NULL,
    day INTEGER NOT NULL,
    jobs INTEGER NOT NULL,
    ran INTEGER NOT NULL,        -- how long those ran that ended on the same day, together
    PRIMARY KEY (branch, day)
) WITHOUT ROWID;
"""


def _request(row: str) -> tuple[str, ...]:
    """What one request adds to each number."""
    ran, waited = f"{row}completed_at - {row}started_at", f"{row}started_at - {row}created_at"
    timed, started = f"ifnull({ran} >= 0, 0)", f"ifnull({waited} >= 0, 0)"
    return (
        "1",
        timed,
        f"iif({timed}, {ran}, 0)",
        started,
        f"iif({started}, {waited}, 0)",
        f"ifnull({waited} > {_LATE}, 0)",
    )


def _job(row: str) -> tuple[str, ...]:
    is_one_day = f"ifnull({row}completed_at >= {row}started_at AND {_overnight(row)} = 0, 0)"
    return "1", f"iif({is_one_day}, {row}completed_at - {row}started_at, 0)"


def _overnight(row: str = "") -> str:
    return f"({row}completed_at / {DAY} > {row}started_at / {DAY})"


_REQUEST_KEY = f"{{0}}workspace, {{0}}created_at / {DAY}, {{0}}branch, {{0}}outcome"
_JOB_KEY = f"{{0}}branch, {{0}}started_at / {DAY}"
_NAMES = {"request_days": "workspace, day, branch, outcome", "job_days": "branch, day"}
_REQUEST_NUMBERS = ("requests", "timed", "ran", "started", "waited", "late")
_JOB_NUMBERS = ("jobs", "ran")


def _adjusted(table: str, key: str, names: tuple[str, ...], row: str, values: tuple[str, ...], sign: str) -> str:
    """The statements that add a row's values to its day, or take them away."""
    added = ", ".join(f"{sign}({value})" for value in values)
    sums = ", ".join(f"{name} = {name} + excluded.{name}" for name in names)
    is_counted = f"{row}started_at IS NOT NULL" if table == "job_days" else "true"
    gone = f"DELETE FROM {table} WHERE ({_NAMES[table]}) = ({key.format(row)}) AND {names[0]} = 0;" if sign else ""
    return f"""
    INSERT INTO {table} SELECT {key.format(row)}, {added} WHERE {is_counted} ON CONFLICT DO UPDATE SET {sums};
    {gone}"""


def _of_request(row: str, sign: str = "") -> str:
    return _adjusted("request_days", _REQUEST_KEY, _REQUEST_NUMBERS, row, _request(row), sign)


def _of_job(row: str, sign: str = "") -> str:
    return _adjusted("job_days", _JOB_KEY, _JOB_NUMBERS, row, _job(row), sign)


def _totals(values: tuple[str, ...]) -> str:
    return ", ".join(f"sum({value})" for value in values)


def _is_other(names: str) -> str:
    return " OR ".join(f"old.{name} IS NOT new.{name}" for name in names.split(", "))


_REQUEST_COLUMNS = "workspace, created_at, outcome, started_at, completed_at"
_JOB_COLUMNS = "started_at, completed_at"
_REQUEST_GROUPS = _REQUEST_KEY.format("")
_JOB_GROUPS = _JOB_KEY.format("")
REQUEST_DAYS = f"SELECT {_REQUEST_GROUPS}, {_totals(_request(''))} FROM {{}}requests GROUP BY {_REQUEST_GROUPS}"
JOB_DAYS = (
    f"SELECT {_JOB_GROUPS}, {_totals(_job(''))} FROM {{}}jobs WHERE started_at IS NOT NULL GROUP BY {_JOB_GROUPS}"
)
"""What the tables have. The parameter is the schema, such as ``live.``."""

# A rebuild creates these after loading the rows.
INDEXES = f"""
CREATE INDEX request_days_branch ON request_days (branch, day);
CREATE INDEX jobs_overnight ON jobs (branch, started_at, completed_at) WHERE {_overnight()};
INSERT INTO request_days {REQUEST_DAYS.format("")};
INSERT INTO job_days {JOB_DAYS.format("")};
CREATE TRIGGER request_days_inserted AFTER INSERT ON requests BEGIN {_of_request("new.")} END;
CREATE TRIGGER request_days_deleted AFTER DELETE ON requests BEGIN {_of_request("old.", "-")} END;
CREATE TRIGGER request_days_updated AFTER UPDATE OF {_REQUEST_COLUMNS} ON requests WHEN {_is_other(_REQUEST_COLUMNS)}
BEGIN {_of_request("old.", "-")} {_of_request("new.")} END;
CREATE TRIGGER job_days_inserted AFTER INSERT ON jobs BEGIN {_of_job("new.")} END;
CREATE TRIGGER job_days_deleted AFTER DELETE ON jobs BEGIN {_of_job("old.", "-")} END;
CREATE TRIGGER job_days_updated AFTER UPDATE OF {_JOB_COLUMNS} ON jobs WHEN {_is_other(_JOB_COLUMNS)}
BEGIN {_of_job("old.", "-")} {_of_job("new.")} END;
"""
