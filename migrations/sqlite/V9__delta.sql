-- What signs delta's tokens: a secret, in hexadecimal. Made when the store is opened; it goes with the data, so that tokens
-- outlive a restart, and hold in every process.
alter table store add column token_key text;
