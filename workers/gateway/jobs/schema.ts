/**
 * What a job remembers, in the SQLite of its object (one for each RestorationKey): four tables, written only by JobTable
 * and Outbox, always within one turn of the event loop, so that every change below is atomic.
 *
 * job_task: one row for each encoding that was asked of the RestorationKey. At most one row runs. A row changes state only
 * by a compare-and-set on the state (and, for what a runner says, on the attempt) that the change was decided with.
 *
 *   ∅ | ended → queued            join: a request or a subscriber asks. Everything else of the row starts anew, but `attempt`
 *   queued    → running           claim: it is due and nothing else runs
 *   running   → running           begin: counts the attempt and names its prediction, before the runner is called
 *                                 heard: the runner has it (answer, callback or poll); renews the lease `due_at`
 *   queued    → running           heard: the runner that seemed gone calls back about the current attempt
 *   running   → queued            refuse: no room, or nobody there; waits for its message (costs no attempt)
 *                                 retry: the runner failed or lost it; bounded by JOB_MAX_ATTEMPTS
 *                                 recover: the object died before the work was handed over; bounded likewise
 *   queued    → queued            missMessage: its message should have come by now; there will be another
 *   queued | running → succeeded  succeed: the files are stored, whoever stored them, in whichever attempt
 *   running   → failed            fail: what the current attempt says of the picture; attempts used up
 *   queued | running → failed     expire: the last deadline passed. abandon: its message is dead. failQueued: no master
 *   queued | running → canceled   cancel: the last subscriber left, and no request still wants it
 *
 * `attempt` never goes back within a row: it names the prediction at the runner and is written into the callback's URL, so
 * that what an attempt given up says later is recognised. Only its success counts then, because the result that it stored
 * is the same.
 *
 * job_subscriber: one row for each prediction that follows a task; `finished` once its terminal event is written.
 * job_want: one row for each request that waits under the name of the prediction that it becomes when it waits no longer. It
 * goes when that prediction follows or has left, and when the task has ended.
 * job_event: events not yet taken by their subscriber, in order of `sequence`. Of progress only the newest is kept, so
 * sequences have gaps; each number means one event for ever. A row goes when the subscriber has taken it, or has left.
 *
 * Everything is deleted RESULT_RETENTION_SECONDS after the last task ended. Times are milliseconds since the epoch.
 */
const SCHEMA = `
  -- Of version 0.1.0; its rows held nothing that is not in the store.
  DROP TABLE IF EXISTS task;

  CREATE TABLE IF NOT EXISTS job_task (
    result_key    TEXT PRIMARY KEY,
    request       TEXT NOT NULL,               -- JobRequest as JSON
    state         TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    attempt       INTEGER NOT NULL DEFAULT 0,
    failures      INTEGER NOT NULL DEFAULT 0,  -- attempts that failed since it was queued
    operation     TEXT,                        -- of the attempt: restore, encode
    runner_prediction_id TEXT,                 -- of the attempt, at a remote runner; kept while it may be alive there
    accepted      INTEGER NOT NULL DEFAULT 0,  -- running: a remote runner has it
    calls_back    INTEGER NOT NULL DEFAULT 0,  -- of the attempt: a callback has come
    refused       INTEGER NOT NULL DEFAULT 0,  -- waits for the message of this number, until a runner has it
    due_at        INTEGER NOT NULL,            -- queued: begun no sooner; accepted: the runner is asked
    wanted_until  INTEGER NOT NULL DEFAULT 0,  -- by requests that become no prediction
    error_code    TEXT,
    error_detail  TEXT,
    report        TEXT,                        -- RestoreReport as JSON, when this task's work was the inference
    queued_at     INTEGER NOT NULL,
    claimed_at    INTEGER,
    processing_at INTEGER,                     -- the first time since it was queued
    finished_at   INTEGER
  ) STRICT;

  CREATE TABLE IF NOT EXISTS job_subscriber (
    result_key    TEXT NOT NULL,
    subscriber_id TEXT NOT NULL,
    deadline_at   INTEGER NOT NULL,
    joined_at     INTEGER NOT NULL,
    started       INTEGER NOT NULL,            -- its joining queued the task
    finished      INTEGER NOT NULL DEFAULT 0,
    sequence      INTEGER NOT NULL DEFAULT 0,  -- of the newest event
    failures      INTEGER NOT NULL DEFAULT 0,  -- of deliveries, since the last one that was taken
    due_at        INTEGER NOT NULL DEFAULT 0,  -- the next delivery, no sooner
    PRIMARY KEY (result_key, subscriber_id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE IF NOT EXISTS job_want (
    result_key    TEXT NOT NULL,
    subscriber_id TEXT NOT NULL,
    until         INTEGER NOT NULL,
    PRIMARY KEY (result_key, subscriber_id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE IF NOT EXISTS job_event (
    result_key    TEXT NOT NULL,
    subscriber_id TEXT NOT NULL,
    sequence      INTEGER NOT NULL,
    type          TEXT NOT NULL,               -- JobEvent's
    event         TEXT NOT NULL,               -- JobEvent as JSON
    PRIMARY KEY (result_key, subscriber_id, sequence)
  ) STRICT, WITHOUT ROWID;
`;

/** Idempotent; it is called again after everything was deleted. */
export function createTables(sql: SqlStorage): void {
  renameOldColumns(sql);
  sql.exec(SCHEMA);
}

/** Tables of version 0.1.0 call both the runner's prediction and the subscriber `prediction_id`. */
function renameOldColumns(sql: SqlStorage): void {
  const tables = sql.exec<{ name: string }>(
    `SELECT tables.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
     WHERE tables.type = 'table' AND tables.name LIKE 'job_%' AND columns.name = 'prediction_id'`,
  );
  for (const { name } of tables.toArray()) {
    const renamed = name === 'job_task' ? 'runner_prediction_id' : 'subscriber_id';
    sql.exec(`ALTER TABLE ${name} RENAME COLUMN prediction_id TO ${renamed}`);
  }
}
