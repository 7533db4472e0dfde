-- A take-over changes the epoch and with it a key, so it waits for transactions that look at the lease; a renewal changes
-- no key and passes beside them.
CREATE UNIQUE INDEX leases_epoch ON leases (name, epoch);
