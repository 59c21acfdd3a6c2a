-- What the values of extended properties are as numbers and times, for casts in filters: no text can be made one by both
-- engines alike. Null where a value is none.
-- `store::renew` makes them of values of before, after this migration and in its transaction.

alter table single_values add column value_number bigint;
alter table single_values add column value_millionths bigint;
alter table single_values add column value_instant bigint;
alter table multi_values add column value_number bigint;
alter table multi_values add column value_millionths bigint;
alter table multi_values add column value_instant bigint;
alter table folder_single_values add column value_number bigint;
alter table folder_single_values add column value_millionths bigint;
alter table folder_single_values add column value_instant bigint;
alter table folder_multi_values add column value_number bigint;
alter table folder_multi_values add column value_millionths bigint;
alter table folder_multi_values add column value_instant bigint;
