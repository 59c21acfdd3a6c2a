-- The twin of migrations/sqlite, which has the comments in full.

alter table store add column token_key text;
