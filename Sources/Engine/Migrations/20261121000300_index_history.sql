-- migrate:up
-- Every question of the history has an index in its own order, so that a page costs a page at any size.
DROP INDEX etl.runs_newest, etl.runs_of_job, etl.runs_in_state, etl.runs_succeeded;
CREATE INDEX runs_newest ON etl.runs (queued_at DESC, id DESC);
CREATE INDEX runs_of_job ON etl.runs (job, queued_at DESC, id DESC);
CREATE INDEX runs_in_state ON etl.runs (state, queued_at DESC, id DESC);
CREATE INDEX runs_of_job_in_state ON etl.runs (job, state, queued_at DESC, id DESC);
CREATE INDEX runs_succeeded ON etl.runs (job, queued_at DESC, id DESC) WHERE state = 'succeeded' AND NOT dry_run;
CREATE INDEX runs_dry ON etl.runs (job, queued_at DESC, id DESC) WHERE dry_run;
CREATE INDEX runs_real ON etl.runs (job, queued_at DESC, id DESC) WHERE NOT dry_run;

-- migrate:down
DROP INDEX etl.runs_newest, etl.runs_of_job, etl.runs_in_state, etl.runs_of_job_in_state, etl.runs_succeeded,
    etl.runs_dry, etl.runs_real;
CREATE INDEX runs_newest ON etl.runs (queued_at DESC, id);
CREATE INDEX runs_of_job ON etl.runs (job, queued_at DESC, id);
CREATE INDEX runs_in_state ON etl.runs (state, queued_at DESC, id);
CREATE INDEX runs_succeeded ON etl.runs (job, queued_at DESC, id) WHERE state = 'succeeded' AND NOT dry_run;
