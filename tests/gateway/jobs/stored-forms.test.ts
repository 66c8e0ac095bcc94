import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { JobTable } from '../../../workers/gateway/jobs/job-table.ts';
import { createTables } from '../../../workers/gateway/jobs/schema.ts';
import { ResultStore } from '../../../workers/gateway/results/result-store.ts';
import { keyOf, requestFor } from './requests.ts';

/** The tables of version 0.1.0, with a task that a runner had. */
const OLD_TABLES = `
  CREATE TABLE job_task (
    result_key TEXT PRIMARY KEY, request TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, operation TEXT, prediction_id TEXT, accepted INTEGER NOT NULL DEFAULT 0,
    calls_back INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL,
    wanted_until INTEGER NOT NULL DEFAULT 0, error_code TEXT, error_detail TEXT, report TEXT, queued_at INTEGER NOT NULL,
    claimed_at INTEGER, processing_at INTEGER, finished_at INTEGER
  ) STRICT;
  CREATE TABLE job_subscriber (
    result_key TEXT NOT NULL, prediction_id TEXT NOT NULL, deadline_at INTEGER NOT NULL, joined_at INTEGER NOT NULL,
    started INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (result_key, prediction_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE job_want (
    result_key TEXT NOT NULL, prediction_id TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (result_key, prediction_id)
  ) STRICT, WITHOUT ROWID`;

it('reads the jobs of version 0.1.0', () =>
  runInDurableObject(env.JOBS.get(env.JOBS.newUniqueId()), (_, { storage: { sql } }) => {
    const request = { ...requestFor('png'), placement: 'gpu', encodePlacement: 'gpu' };
    const key = keyOf('png');
    for (const table of ['job_task', 'job_subscriber', 'job_want', 'job_event']) sql.exec(`DROP TABLE ${table}`);
    sql.exec(OLD_TABLES);
    sql.exec(
      `INSERT INTO job_task (result_key, request, state, attempt, prediction_id, accepted, due_at, queued_at)
       VALUES (?, ?, 'running', 1, 'restore-1', 1, 0, 0)`,
      key,
      JSON.stringify(request),
    );
    sql.exec(`INSERT INTO job_subscriber VALUES (?, 'tenant/one', 5000, 0, 1, 0, 0, 0, 0)`, key);
    createTables(sql);
    createTables(sql);
    const table = new JobTable(sql);
    expect(table.get(key)).toMatchObject({ runnerPredictionId: 'restore-1', request: requestFor('png') });
    expect(table.overdue(4999)).toEqual([]);
    expect(table.overdue(5000)).toHaveLength(1);
  }));

it('reads the placement of a result of version 0.1.0', async () => {
  const key = 'f'.repeat(64);
  await env.STORE.put(`results/${key}`, new Uint8Array(8), {
    sha256: await crypto.subtle.digest('SHA-256', new Uint8Array(8)),
    customMetadata: { model: 'dhnet-b', model_version: 'c'.repeat(64), placement: 'gpu' },
  });
  expect(await new ResultStore(env.STORE).head('result', key)).toMatchObject({ placement: 'runner' });
});
