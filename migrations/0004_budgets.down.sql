DROP FUNCTION budget_begin, budget_settle, budget_reserve, budget_period;
ALTER TABLE jobs DROP COLUMN parked_why, DROP COLUMN parked_until;
DROP TABLE spend_waits, spend_stop, budget_holds, budget_periods, budgets;
DROP FUNCTION budget_stays_within;
